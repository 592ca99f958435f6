import { createPublicKey } from 'node:crypto'
import { EncryptJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cpuStopwatch } from '../support/cpu-stopwatch.ts'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, claimsOfAna, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attack E23.
//
// What a token costs before its signature is known must be bounded: no decryption, no inflation, no endless splitting.

let issuer: StagedIssuer
let authenticator: OidcAuthenticator
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

beforeAll(async () => {
  issuer = await startStagedIssuer()
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

test('a large but honest token is accepted', async () => {
  const groups = Array.from({ length: 300 }, (_, n) => `a-group-with-a-long-name-${n}`)
  expect(await authenticator.authenticate(bearer(await issuer.sign({ groups })))).toHaveProperty(
    'subject.groups.length',
    300,
  )
})

test('a token that is encrypted for us is refused', async () => {
  const token = await new EncryptJWT(claimsOfAna(issuer.url))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
    .encrypt(createPublicKey({ format: 'jwk', key: { ...issuer.key.publicJwk } }))
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('an encrypted token is not accepted'))
})

test('a password-based token with a giant count is refused before any work', async () => {
  const header = encode({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2c: 2_147_483_647, p2s: 'c2FsdA', zip: 'DEF' })
  const spentMs = cpuStopwatch()
  expect(await refusalOf(authenticator, `${header}.a.a.a.a`)).toEqual(
    unauthorized('an encrypted token is not accepted'),
  )
  const signed = `${encode({ alg: 'PBES2-HS512+A256KW', p2c: 2_147_483_647 })}.${encode(claimsOfAna(issuer.url))}.a`
  expect(await refusalOf(authenticator, signed)).toEqual(
    unauthorized('the token is signed in a way that is not accepted'),
  )
  expect(spentMs()).toBeLessThan(1000)
})

test.for([
  ['of 60 KiB and one', 'a'.repeat(61_441)],
  ['of a megabyte', 'a'.repeat(1_000_000)],
  ['of a million dots', '.'.repeat(1_000_000)],
] as const)('a token %s is refused unread', async ([, token]) => {
  expect(await refusalOf(authenticator, token)).toMatchObject({
    code: 401,
    message: 'the token is longer than 61440 characters, as one with very many groups may be',
  })
})

test.for([
  ['dots only', '.'.repeat(61_440)],
  ['one part', 'a'.repeat(61_440)],
  ['a part too many', 'a.b.c.d'],
  ['nesting without end', `${encode({ alg: 'ES256' })}.${Buffer.from('['.repeat(40_000)).toString('base64url')}.a`],
  ['a token and another', 'a.b.c,a.b.c'],
] as const)('%s is no token', async ([, token]) => {
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the token is not a JSON Web Token'))
})

test('a payload that is not encoded is refused', async () => {
  const [, payload = '', signature = ''] = (await issuer.sign()).split('.')
  const header = encode({ alg: 'ES256', kid: issuer.key.id, b64: false, crit: ['b64'] })
  expect(await refusalOf(authenticator, `${header}.${payload}.${signature}`)).toEqual(
    unauthorized('the header of the token is not one that can be read'),
  )
})
