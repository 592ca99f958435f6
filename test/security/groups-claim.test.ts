import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks E14, E15.
//
// A subject with fewer groups than it has escapes the rules that deny; one with more passes those that allow.

let issuer: StagedIssuer
let authenticator: OidcAuthenticator

beforeAll(async () => {
  issuer = await startStagedIssuer()
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

test.for([
  ['a list', ['dev', 'ops'], ['dev', 'ops']],
  ['one text', 'dev,ops', ['dev,ops']],
  ['names with commas', ['dev,system:masters'], ['dev,system:masters']],
  ['no claim', undefined, []],
] as const)('groups of %s are taken as they stand', async ([, groups, expected]) => {
  const { subject } = await authenticator.authenticate(bearer(await issuer.sign({ groups })))
  expect(subject.groups).toEqual(expected)
})

test.for([
  [
    'a reference',
    { groups: undefined, _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://x' } } },
  ],
  ['a reference beside some groups', { groups: ['dev'], _claim_names: { groups: 'src1' } }],
  ['a hint that there are too many', { groups: undefined, hasgroups: true }],
  ['a reference of odd type', { _claim_names: ['groups'] }],
] as const)('%s in place of the groups is refused with the remedy', async ([, claims]) => {
  expect(await refusalOf(authenticator, await issuer.sign(claims))).toEqual(
    unauthorized(
      'the issuer left your groups out of the token because they are too many; an administrator there has to limit',
    ),
  )
})

test.for([
  ['a number', 7],
  ['true', true],
  ['an object', { dev: true }],
  ['an object that looks like a list', { length: 1, 0: 'system:masters' }],
  ['lists in a list', [['dev']]],
  ['objects in a list', [{ name: 'dev' }]],
  ['a number in a list', ['dev', 0]],
  ['null in a list', [null]],
] as const)('groups that are %s are refused', async ([, groups]) => {
  expect(await refusalOf(authenticator, await issuer.sign({ groups }))).toEqual(
    unauthorized('the "groups" claim of the token is not a list of text'),
  )
})

test('more groups than anybody has are refused', async () => {
  const groups = Array.from({ length: 1001 }, (_, n) => `g${n}`)
  expect(await refusalOf(authenticator, await issuer.sign({ groups }))).toEqual(
    unauthorized('the "groups" claim of the token has more than 1000 entries'),
  )
  const flood = Array.from({ length: 10_000 }, (_, n) => `g${n}`)
  expect(await refusalOf(authenticator, await issuer.sign({ groups: flood }))).toMatchObject({
    code: 401,
    message: 'the token is longer than 61440 characters, as one with very many groups may be',
  })
})
