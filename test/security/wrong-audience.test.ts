import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks E5, E6.
//
// Every application of an organization gets tokens from the same issuer, signed with the same key. Only those for us are for us.

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
  ['us', { aud: 'postern' }],
  ['us in a list', { aud: ['postern'] }],
  ['us and another, issued to us', { aud: ['wiki', 'postern'], azp: 'postern' }],
] as const)('a token for %s is accepted', async ([, claims]) => {
  expect(await authenticator.authenticate(bearer(await issuer.sign(claims)))).toHaveProperty('issuer', issuer.url)
})

test.for([
  ['nobody', { aud: undefined }, 'the token does not say whom it is meant for'],
  ['another client', { aud: 'wiki' }, 'the token is meant for another audience'],
  ['other clients', { aud: ['wiki', 'mail'] }, 'the token is meant for another audience'],
  ['a client named nearly like us', { aud: 'postern ' }, 'the token is meant for another audience'],
  ['a list in text', { aud: 'wiki postern' }, 'the token is meant for another audience'],
  ['the issuer itself', { aud: 'https://127.0.0.1' }, 'the token is meant for another audience'],
  ['us and another, issued to nobody', { aud: ['postern', 'wiki'] }, 'the token was issued to another client'],
  [
    'us and another, issued to the other',
    { aud: ['postern', 'wiki'], azp: 'wiki' },
    'the token was issued to another client',
  ],
  ['us, issued to another', { aud: 'postern', azp: 'wiki' }, 'the token was issued to another client'],
] as const)('a token for %s is refused', async ([, claims, sentence]) => {
  expect(await refusalOf(authenticator, await issuer.sign(claims))).toEqual(unauthorized(sentence))
})
