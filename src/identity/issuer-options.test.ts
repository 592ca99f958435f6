import { expect, test } from 'vitest'
import { assertIssuerOptions, type IssuerOptions, signInParameters } from './issuer-options.ts'

const issuer: IssuerOptions = {
  url: 'https://sso.example.com/realms/staff',
  audiences: ['postern'],
  client: { id: 'postern', scopes: ['openid', 'email'] },
  claimMappings: { username: { claim: 'email', prefix: '' } },
  claimValidationRules: [],
}

test('what a client needs to sign in is public and nothing more', () => {
  expect(signInParameters(issuer)).toEqual({ issuer: issuer.url, clientId: 'postern', scopes: ['openid', 'email'] })
  expect(signInParameters({ ...issuer, certificateAuthority: 'PEM' })).toHaveProperty('certificateAuthority', 'PEM')
})

test('options that can work are accepted', () => {
  expect(() => {
    assertIssuerOptions([issuer, { ...issuer, url: 'https://other.example.com', algorithms: ['EdDSA'] }])
  }).not.toThrow()
})

test.for([
  ['no issuer', []],
  ['the same issuer twice', [issuer, { ...issuer }]],
  ['plain http', [{ ...issuer, url: 'http://sso.example.com' }]],
  ['a user in the URL', [{ ...issuer, url: 'https://me@sso.example.com' }]],
  ['a query in the URL', [{ ...issuer, url: 'https://sso.example.com?x=1' }]],
  ['a fragment in the URL', [{ ...issuer, url: 'https://sso.example.com#' }]],
  ['a discovery URL with plain http', [{ ...issuer, discoveryURL: 'http://sso.internal' }]],
  ['no audience', [{ ...issuer, audiences: [] }]],
  ['an empty audience', [{ ...issuer, audiences: ['postern', ''] }]],
  ['no algorithm', [{ ...issuer, algorithms: [] }]],
  ['HMAC', [{ ...issuer, algorithms: ['HS256' as 'RS256'] }]],
  ['none', [{ ...issuer, algorithms: ['none' as 'RS256'] }]],
  ['no username claim', [{ ...issuer, claimMappings: { username: { claim: '', prefix: '' } } }]],
] as const)('options with %s are refused', ([, issuers]) => {
  expect(() => {
    assertIssuerOptions(issuers)
  }).toThrow(TypeError)
})
