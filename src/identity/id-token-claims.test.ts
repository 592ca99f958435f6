import { expect, test } from 'vitest'
import { assertIdTokenClaims, CLOCK_LEEWAY_SECONDS, MAX_LIFETIME_SECONDS } from './id-token-claims.ts'
import type { IssuerOptions } from './issuer-options.ts'

const NOW = 1_800_000_000
const issuer: IssuerOptions = {
  url: 'https://sso.example.com',
  audiences: ['postern', 'postern-staging'],
  client: { id: 'postern-cli', scopes: ['openid'] },
  claimMappings: { username: { claim: 'email', prefix: '' } },
  claimValidationRules: [{ claim: 'hd', requiredValue: 'example.com' }],
}
const claims = { sub: 'ana', aud: 'postern', exp: NOW + 60, iat: NOW - 60, hd: 'example.com' }
const check = (changed: object, nowSeconds = NOW): number =>
  assertIdTokenClaims({ ...claims, ...changed }, issuer, nowSeconds * 1000)

test('an ID token ends at its expiry, leeway included', () => {
  expect(check({})).toBe((claims.exp + CLOCK_LEEWAY_SECONDS) * 1000)
})

test.for([
  ['for one of our audiences', { aud: 'postern-staging' }],
  ['for one audience in a list', { aud: ['postern'] }],
  ['for several audiences, issued to one of ours', { aud: ['other', 'postern'], azp: 'postern' }],
  ['issued to our client', { azp: 'postern-cli' }],
  ['of a Keycloak client', { typ: 'ID' }],
  ['of a Cognito client', { token_use: 'id' }],
  ['that is valid since now', { nbf: NOW }],
  ['issued by a clock that is a little ahead', { iat: NOW + CLOCK_LEEWAY_SECONDS, nbf: NOW + CLOCK_LEEWAY_SECONDS }],
  ['with fractions of seconds', { exp: NOW + 0.5 }],
] as const)('an ID token %s is accepted', ([, changed]) => {
  expect(check(changed)).toBeGreaterThan(NOW * 1000)
})

test('an expired token is accepted up to the leeway and not beyond', () => {
  expect(check({}, claims.exp + CLOCK_LEEWAY_SECONDS - 0.001)).toBeGreaterThan(0)
  expect(() => check({}, claims.exp + CLOCK_LEEWAY_SECONDS)).toThrow('the token expired at 2027-01-15T08:01:00Z')
})

const AUDIENCE = 'the token is meant for another audience'
const NO_AUDIENCE = 'the token does not say whom it is meant for'
const PARTY = 'the token was issued to another client'
const KIND = 'the token is not an ID token'
test.for([
  ['without exp', { exp: undefined }, 'no usable exp'],
  ['with exp as text', { exp: String(NOW + 60) }, 'no usable exp'],
  ['with exp null', { exp: null }, 'no usable exp'],
  ['with exp infinite', { exp: JSON.parse('1e999') as number }, 'no usable exp'],
  ['with exp not a number', { exp: NaN }, 'no usable exp'],
  ['with negative exp', { exp: -1 }, 'no usable exp'],
  ['with exp in milliseconds', { exp: NOW * 1000 }, 'no usable exp'],
  ['with exp in a list', { exp: [NOW + 60] }, 'no usable exp'],
  ['that holds for longer than anybody should', { exp: NOW + MAX_LIFETIME_SECONDS + 1 }, 'for more than 30 days'],
  ['long expired', { exp: 0 }, 'expired at 1970-01-01T00:00:00Z'],
  ['without iat', { iat: undefined }, 'no usable iat'],
  ['with iat as text', { iat: `${NOW}` }, 'no usable iat'],
  ['with iat in the future', { iat: NOW + CLOCK_LEEWAY_SECONDS + 1 }, 'issued in the future'],
  ['with nbf in the future', { nbf: NOW + CLOCK_LEEWAY_SECONDS + 1 }, 'not valid before 2027-01-15T08:00:31Z'],
  ['with nbf as text', { nbf: '0' }, 'no usable nbf'],
  ['with nbf null', { nbf: null }, 'no usable nbf'],
  ['without audience', { aud: undefined }, NO_AUDIENCE],
  ['with an empty audience', { aud: '' }, AUDIENCE],
  ['with no audiences', { aud: [] }, AUDIENCE],
  ['with another audience', { aud: 'other' }, AUDIENCE],
  ['with an audience that begins like ours', { aud: 'postern2' }, AUDIENCE],
  ['with our audience in another case', { aud: 'Postern' }, AUDIENCE],
  ['with audiences of odd types', { aud: ['postern', 7] }, NO_AUDIENCE],
  ['with an audience object', { aud: { postern: true } }, NO_AUDIENCE],
  ['with several audiences and no azp', { aud: ['postern', 'other'] }, PARTY],
  ['issued to a client that lists us too', { aud: ['postern', 'other'], azp: 'other' }, PARTY],
  ['issued to another client though for us alone', { azp: 'other' }, PARTY],
  ['with an azp of odd type', { azp: ['postern'] }, PARTY],
  ['that is a Keycloak access token', { typ: 'Bearer' }, KIND],
  ['that is a Keycloak refresh token', { typ: 'Refresh' }, KIND],
  ['that is a Keycloak offline token', { typ: 'Offline' }, KIND],
  ['that is a Cognito access token', { token_use: 'access' }, KIND],
  ['that is an Entra access token', { scp: 'user_impersonation' }, KIND],
  ['that is an Okta access token', { scp: ['openid'] }, KIND],
  ['that is a logout token', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, KIND],
  ['without subject', { sub: undefined }, 'does not say whose it is'],
  ['with a numeric subject', { sub: 7 }, 'does not say whose it is'],
  ['with an empty subject', { sub: '' }, 'does not say whose it is'],
  ['of another domain', { hd: 'example.org' }, 'required value of "hd"'],
  ['without the required claim', { hd: undefined }, 'required value of "hd"'],
  ['with the required value in a list', { hd: ['example.com'] }, 'required value of "hd"'],
] as const)('a token %s is refused', ([, changed, sentence]) => {
  expect(() => check(changed)).toThrow(sentence)
})

test('a refusal is a 401 that names the way to sign in', () => {
  expect(() => check({ exp: 1 })).toThrow(
    expect.objectContaining({ status: expect.objectContaining({ code: 401, reason: 'Unauthorized' }) as unknown }),
  )
  expect(() => check({ exp: 1 })).toThrow('; sign in with "postern client login"')
})

test('what the token holds is told to the operator only', () => {
  expect(() => check({ aud: 'https://internal.example.com' })).toThrow(
    expect.objectContaining({
      message: expect.not.stringContaining('internal') as unknown,
      detail: expect.stringContaining('https://internal.example.com') as unknown,
    }),
  )
})
