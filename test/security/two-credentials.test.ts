import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks B6, D16, E25, E28, E29.
//
// With two credentials, one part of a chain may check the first and another act on the second; with none, nobody is nobody.

let issuer: StagedIssuer
let authenticator: OidcAuthenticator
let token: string
let other: string

beforeAll(async () => {
  issuer = await startStagedIssuer()
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
  token = await issuer.sign()
  other = await issuer.sign({ sub: 'other' })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

const inSubprotocol = (text: string): string =>
  `v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.${Buffer.from(text).toString('base64url')}`

test('one token is accepted, in any spelling of its header', async () => {
  expect(await authenticator.authenticate(['aUTHORIZATION', `bearer ${token}`])).toHaveProperty('issuer', issuer.url)
})

test.for<[string, () => string[], string]>([
  [
    'two lines with the same token',
    () => ['Authorization', `Bearer ${token}`, 'Authorization', `Bearer ${token}`],
    'more than one',
  ],
  [
    'two lines with different tokens',
    () => ['Authorization', `Bearer ${token}`, 'authorization', `Bearer ${other}`],
    'more than one',
  ],
  ['a good line before an empty one', () => ['Authorization', `Bearer ${token}`, 'AUTHORIZATION', ''], 'more than one'],
  ['two tokens in one line', () => ['Authorization', `Bearer ${token}, Bearer ${other}`], 'not a JSON Web Token'],
  ['two tokens with a space', () => ['Authorization', `Bearer ${token} ${other}`], 'not a JSON Web Token'],
  [
    'a token in the subprotocol, too',
    () => ['Authorization', `Bearer ${token}`, 'Sec-WebSocket-Protocol', inSubprotocol(other)],
    'another in the WebSocket subprotocol',
  ],
  [
    'a token in the second subprotocol line',
    () => [
      'Sec-WebSocket-Protocol',
      'v4.channel.k8s.io',
      'Authorization',
      `Bearer ${token}`,
      'sec-websocket-protocol',
      inSubprotocol(other),
    ],
    'another in the WebSocket subprotocol',
  ],
  [
    'a token in the subprotocol only',
    () => ['Sec-WebSocket-Protocol', inSubprotocol(token)],
    'only one in the Authorization header',
  ],
])('%s is refused', async ([, headers, sentence]) => {
  expect(await refusalOf(authenticator, headers())).toEqual(unauthorized(sentence))
})

test.for<[string, () => string[]]>([
  ['no header', () => []],
  ['a cookie', () => ['Cookie', `token=${token}`]],
  ['a header for proxies', () => ['Proxy-Authorization', `Bearer ${token}`]],
  ['a header that looks alike', () => ['Authorization_', `Bearer ${token}`, 'X-Authorization', `Bearer ${token}`]],
  ['the name of a user', () => ['X-Remote-User', 'admin', 'Impersonate-User', 'admin']],
  ['a certificate in a header', () => ['X-Forwarded-Client-Cert', 'Subject="CN=admin"']],
])('%s is no credential, and nobody is let in as anonymous', async ([, headers]) => {
  expect(await refusalOf(authenticator, headers())).toEqual(unauthorized('the request has no credential'))
})

test.for<[string, () => string]>([
  ['empty', () => ''],
  ['a scheme alone', () => 'Bearer'],
  ['a scheme and a space', () => 'Bearer '],
  ['Basic', () => `Basic ${Buffer.from('admin:admin').toString('base64')}`],
  ['Negotiate', () => 'Negotiate YII='],
  ['DPoP', () => `DPoP ${token}`],
  ['a token alone', () => token],
  ['a tab for a space', () => `Bearer\t${token}`],
])('an Authorization header that is %s is refused', async ([, value]) => {
  expect(await refusalOf(authenticator, ['Authorization', value()])).toMatchObject({
    code: 401,
    reason: 'Unauthorized',
  })
})
