import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { signInOf } from './sign-in.ts'

const ISSUER = 'https://sso.example.com'
const claims = (more: Record<string, unknown>): Record<string, unknown> => ({
  sub: 'ana',
  iat: 1000,
  jti: 'x',
  ...more,
})
const keyOf = (more: Record<string, unknown>, issuer = ISSUER): string => signInOf(issuer, claims(more)).key

describe('tokens belong to one login', () => {
  test.for([
    ['that share a sid, whatever else differs', { sid: 's' }, { sid: 's', auth_time: 5, iat: 2000, jti: 'y' }],
    ['that share an auth_time', { auth_time: 5 }, { auth_time: 5, iat: 2000, jti: 'y', nonce: 'n' }],
    ['that share a nonce', { nonce: 'n' }, { nonce: 'n', iat: 2000, jti: 'y' }],
    ['of one person, when the issuer gives none of them', {}, { iat: 2000, jti: 'y' }],
    [
      'of one person, when what it gives is none of them',
      { sid: '', auth_time: 'noon', nonce: '' },
      { sid: 7, auth_time: Infinity, nonce: 7 },
    ],
    ['of one person, when a sid is longer than any is', { sid: 's'.repeat(300) }, {}],
  ] as const)('%s', ([, one, other]) => {
    expect(keyOf(one)).toBe(keyOf(other))
  })
})

describe('tokens belong to two logins', () => {
  test.for([
    ['of two sids', { sid: 's' }, { sid: 't' }],
    ['of two auth_times', { auth_time: 5 }, { auth_time: 6 }],
    ['of two nonces', { nonce: 'n' }, { nonce: 'm' }],
    ['of which one lost its nonce', { nonce: 'n' }, {}],
    ['of two people in one session of a browser', { sid: 's' }, { sid: 's', sub: 'boris' }],
    ['of which one has a sid that reads like the auth_time of the other', { sid: '5000' }, { auth_time: 5 }],
  ] as const)('%s', ([, one, other]) => {
    expect(keyOf(one)).not.toBe(keyOf(other))
  })

  test('of two issuers', () => {
    expect(keyOf({ sid: 's' })).not.toBe(keyOf({ sid: 's' }, 'https://other.example.com'))
  })
})

test('keys are as different as what they are made of', () => {
  const part = fc.string({ maxLength: 8 })
  const login = fc.record({ issuer: part, sub: part, sid: fc.oneof(part, fc.constant('')) })
  fc.assert(
    fc.property(login, login, (a, b) => {
      const same = a.issuer === b.issuer && a.sub === b.sub && a.sid === b.sid
      const key = ({ issuer, sub, sid }: typeof a): string => signInOf(issuer, { sub, sid, iat: 1 }).key
      expect(key(a) === key(b)).toBe(same)
    }),
  )
})

test.for([
  ['auth_time', { sid: 's', auth_time: 5 }, 5000],
  ['auth_time without a sid', { auth_time: 5.9 }, 5000],
  ['iat, where there is nothing else', {}, 1_000_000],
  ['nothing, where there is a nonce: only another one shows it', { nonce: 'n' }, 0],
  ['nothing, where there is a sid alone: a refresh makes a newer iat', { sid: 's' }, 0],
] as const)('a later sign-in is shown by %s', ([, more, atMs]) => {
  expect(signInOf(ISSUER, claims(more)).atMs).toBe(atMs)
})

test('a nonce is kept as a digest, however long it is', () => {
  expect(keyOf({ nonce: 'n'.repeat(10_000) })).toHaveLength(keyOf({ nonce: 'm' }).length)
  expect(keyOf({ nonce: 'secret' })).not.toContain('secret')
})

test.for([
  [{ sid: 's' }, true],
  [{ auth_time: 5 }, true],
  [{ nonce: 'n' }, true],
  [{}, false],
] as const)('%j names its sign-in: %s', ([more, identified]) => {
  expect(signInOf(ISSUER, claims(more)).identified).toBe(identified)
})
