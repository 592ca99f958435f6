import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attack E9.
//
// A token without an end, or with one that is not a number, must not hold for ever.

const NOW = 1_800_000_000
let issuer: StagedIssuer
let authenticator: OidcAuthenticator
let nowSeconds: number

beforeAll(async () => {
  nowSeconds = NOW
  issuer = await startStagedIssuer()
  authenticator = createAuthenticator({ issuers: [issuer.options()], clock: () => nowSeconds * 1000 })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})
const sign = (claims?: Record<string, unknown>): Promise<string> => issuer.sign(claims, { nowMs: NOW * 1000 })

test('a token holds until its expiry and half a minute, cached or not', async () => {
  const token = await sign({ exp: NOW + 10 })
  nowSeconds = NOW + 39.9
  await authenticator.authenticate(bearer(token))
  nowSeconds = NOW + 40
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the token expired at 2027-01-15T08:00:10Z'))
  expect(await refusalOf(authenticator, await sign({ exp: NOW + 10 }))).toMatchObject({ code: 401 })
  nowSeconds = NOW
})

test.for([
  ['no expiry', { exp: undefined }, 'the token has no usable exp time'],
  ['an expiry in text', { exp: `${NOW + 300}` }, 'the token has no usable exp time'],
  ['an expiry in words', { exp: 'never' }, 'the token has no usable exp time'],
  ['an expiry that is null', { exp: null }, 'the token has no usable exp time'],
  ['an expiry that is true', { exp: true }, 'the token has no usable exp time'],
  ['a negative expiry', { exp: -NOW }, 'the token has no usable exp time'],
  ['an expiry beyond all dates', { exp: Number.MAX_SAFE_INTEGER }, 'the token has no usable exp time'],
  ['an expiry in milliseconds', { exp: (NOW + 300) * 1000 }, 'the token has no usable exp time'],
  ['an expiry in ten years', { exp: NOW + 10 * 365 * 24 * 3600 }, 'the token is valid for more than 30 days'],
  ['an expiry in the past', { exp: NOW - 31 }, 'the token expired at 2027-01-15T07:59:29Z'],
  ['no time of issue', { iat: undefined }, 'the token has no usable iat time'],
  ['a time of issue in text', { iat: `${NOW}` }, 'the token has no usable iat time'],
  ['a time of issue tomorrow', { iat: NOW + 24 * 3600, exp: NOW + 25 * 3600 }, 'the token was issued in the future'],
  ['a beginning tomorrow', { nbf: NOW + 24 * 3600 }, 'the token is not valid before 2027-01-16T08:00:00Z'],
  ['a beginning in text', { nbf: '0' }, 'the token has no usable nbf time'],
] as const)('a token with %s is refused', async ([, claims, sentence]) => {
  expect(await refusalOf(authenticator, await sign(claims))).toEqual(unauthorized(sentence))
})

test('an expiry that JSON spells as infinity is refused', async () => {
  const { CompactSign } = await import('jose')
  const claims = JSON.stringify({
    iss: issuer.url,
    aud: 'postern',
    sub: 'ana',
    iat: NOW,
    email: 'ana@example.com',
    exp: 0,
  })
  const token = await new CompactSign(Buffer.from(claims.replace('"exp":0', '"exp":1e999')))
    .setProtectedHeader({ alg: 'ES256', kid: issuer.key.id })
    .sign(issuer.key.privateKey)
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the token has no usable exp time'))
})
