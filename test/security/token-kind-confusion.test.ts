import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attack E10.
//
// An issuer signs more than ID tokens with the same key for the same client.

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

test('an ID token is accepted', async () => {
  const token = await issuer.sign({ nonce: 'n', at_hash: 'h', typ: 'ID' }, { header: { typ: 'JWT' } })
  expect(await authenticator.authenticate(bearer(token))).toHaveProperty('issuer', issuer.url)
})

test.for([
  ['an access token', {}, { typ: 'at+jwt' }],
  ['an access token with its media type', {}, { typ: 'application/at+jwt' }],
  ['a logout token', {}, { typ: 'logout+jwt' }],
  ['a logout token without type', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, {}],
  ['a security event', {}, { typ: 'secevent+jwt' }],
  ['a proof of possession', {}, { typ: 'dpop+jwt' }],
  ['an introspection answer', {}, { typ: 'token-introspection+jwt' }],
  ['an access token of Keycloak', { typ: 'Bearer' }, { typ: 'JWT' }],
  ['a refresh token of Keycloak', { typ: 'Refresh' }, { typ: 'JWT' }],
  ['a logout token of Keycloak', { typ: 'Logout' }, { typ: 'JWT' }],
  ['an access token of Cognito', { token_use: 'access' }, {}],
  ['an access token of Entra ID', { scp: 'user_impersonation' }, { typ: 'JWT' }],
  ['an access token of Okta', { scp: ['openid', 'offline_access'] }, {}],
] as const)('%s is refused, though issuer, key and audience are right', async ([, claims, header]) => {
  const token = await issuer.sign(claims, { header })
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the token is not an ID token'))
})
