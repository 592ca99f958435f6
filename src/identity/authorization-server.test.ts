import { expect, test } from 'vitest'
import { authorizationServerPath, redirectURIOf } from './authorization-server.ts'

test.for([
  ['https://accounts.google.com', '/oauth/accounts.google.com'],
  ['https://example.eu.auth0.com/', '/oauth/example.eu.auth0.com'],
  ['https://SSO.example.com:8443/realms/Staff', '/oauth/sso.example.com:8443/realms/Staff'],
  ['https://login.example.com/1111-2222/v2.0', '/oauth/login.example.com/1111-2222/v2.0'],
])('%s is at %s of the portal', ([issuer, path]) => {
  expect(authorizationServerPath(issuer ?? '')).toBe(path)
})

test('issuers send browsers back to a place of their own', () => {
  expect(redirectURIOf('https://postern.example.com:8444', 'https://sso.example.com/a')).toBe(
    'https://postern.example.com:8444/oauth/sso.example.com/a/callback',
  )
})
