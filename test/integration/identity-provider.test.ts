import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startIdentityProvider, type IdentityProvider } from '../../sandbox/identity-provider.ts'
import { exchange, signIn } from '../../sandbox/identity-provider/browser.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { issueTokens, refreshTokens } from '../../sandbox/identity-provider/tokens.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'

const authority = createCertificateAuthority()
const tls = { ...authority.issueServer(), ca: authority.certificate }
const printed = (['log', 'info', 'warn', 'error'] as const).map((method) => vi.spyOn(console, method))
let provider: IdentityProvider

beforeAll(async () => {
  provider = await startIdentityProvider({ tls, idTokenSeconds: 60 })
})
afterEach(() => {
  expect(provider.errors).toEqual([])
  for (const spy of printed) expect(spy).not.toHaveBeenCalled()
})
afterAll(async () => {
  await provider.stop()
  for (const spy of printed) spy.mockRestore()
})

/** A program on the person's machine: listens on a loopback port and asks for a code. */
async function askForCode(parameters: Record<string, string> = {}) {
  const seen: URL[] = []
  const listener = createServer((request, response) => {
    seen.push(new URL(request.url ?? '', 'http://127.0.0.1'))
    response.end('You may close this window.')
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const redirectUri = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/a-path-of-its-own`
  const verifier = 'v'.repeat(43)
  const url = new URL('/auth', provider.issuer)
  url.search = new URLSearchParams({
    client_id: provider.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid email groups',
    state: 'the-state',
    code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    ...parameters,
  }).toString()
  return { url, seen, verifier, redirectUri, close: () => listener.close() }
}

test('a person signs in through the form and arrives at the loopback page of the program that asked', async () => {
  const program = await askForCode()
  const page = await signIn(provider, people.ana, program.url)
  program.close()

  expect(page).toMatchObject({ status: 200, body: 'You may close this window.' })
  expect(program.seen).toHaveLength(1)
  expect(program.seen[0]?.pathname).toBe('/a-path-of-its-own')
  expect(program.seen[0]?.searchParams.get('state')).toBe('the-state')
  expect(program.seen[0]?.searchParams.get('iss')).toBe(provider.issuer)
  expect(program.seen[0]?.searchParams.get('code')).toMatch(/^[\w-]{20,}$/)
})

test('a wrong password gets no code', async () => {
  const program = await askForCode()
  const before = provider.counts.signIns
  await expect(signIn(provider, { ...people.ana, password: 'guess' }, program.url)).rejects.toThrow('answered 403')
  program.close()

  expect(program.seen).toEqual([])
  expect(provider.counts.signIns).toBe(before)
})

test.for([
  ['without PKCE', { code_challenge: '', code_challenge_method: '' }],
  ['with plain PKCE', { code_challenge_method: 'plain' }],
] as const)('an authorization request %s is sent back with an error', async ([, parameters]) => {
  const program = await askForCode(parameters)
  await signIn(provider, people.ana, program.url)
  program.close()

  expect(program.seen[0]?.searchParams.get('error')).toBe('invalid_request')
  expect(program.seen[0]?.searchParams.has('code')).toBe(false)
})

test.for([
  'http://localhost:1234/callback',
  'https://127.0.0.1:1234/callback',
  'http://127.0.0.1.example.com/',
  'http://someone@127.0.0.1/',
])('a code never goes to %s', async (redirect_uri) => {
  const program = await askForCode({ redirect_uri })
  await expect(signIn(provider, people.ana, program.url)).rejects.toThrow('invalid_redirect_uri')
  program.close()
})

test('tokens say who the person is, in the ID token itself', async () => {
  const { idToken } = await issueTokens(provider, people.ana)
  const claims = decodeJwt(idToken)

  expect(claims).toMatchObject({
    iss: provider.issuer,
    aud: 'postern',
    sub: 'person-ana',
    email: 'ana@example.com',
    email_verified: true,
    groups: ['payments-dev', 'everyone'],
  })
  expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(60)
})

test('a person without groups has no groups claim', async () => {
  expect(decodeJwt((await issueTokens(provider, people.mallory)).idToken)).not.toHaveProperty('groups')
})

test('a refresh token is issued only when offline access is asked for', async () => {
  expect((await issueTokens(provider, people.omar, 'openid email')).refreshToken).toBe('')
})

test('refresh tokens rotate, and one that comes back ends the grant', async () => {
  const first = await issueTokens(provider, people.omar)
  const second = await refreshTokens(provider, first.refreshToken)
  expect(decodeJwt(second.idToken).sub).toBe('person-omar')
  expect(second.refreshToken).not.toBe(first.refreshToken)

  await expect(refreshTokens(provider, first.refreshToken)).rejects.toThrow('invalid_grant')
  await expect(refreshTokens(provider, second.refreshToken)).rejects.toThrow('invalid_grant')
})

test('a revoked refresh token is worth nothing', async () => {
  const { refreshToken } = await issueTokens(provider, people.omar)
  const { status } = await exchange({
    url: new URL('/token/revocation', provider.issuer),
    certificateAuthority: provider.certificateAuthority,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ client_id: 'postern', token: refreshToken }).toString(),
  })

  expect(status).toBe(200)
  await expect(refreshTokens(provider, refreshToken)).rejects.toThrow('invalid_grant')
})

test('new keys sign at once, and refresh tokens outlive the old ones', async () => {
  const before = await issueTokens(provider, people.ana)
  await provider.rotateKeys()
  const after = await refreshTokens(provider, before.refreshToken)

  const { body } = await exchange({
    url: new URL('/jwks', provider.issuer),
    certificateAuthority: provider.certificateAuthority,
    headers: {},
    body: undefined,
  })
  expect(body).toContain(decodeProtectedHeader(after.idToken).kid)
  expect(body).not.toContain(decodeProtectedHeader(before.idToken).kid)
})

test('a provider that is down breaks every connection and comes back with its port', async () => {
  provider.setDown(true)
  await expect(issueTokens(provider, people.ana)).rejects.toThrow()
  provider.setDown(false)
  await expect(issueTokens(provider, people.ana)).resolves.toHaveProperty('idToken')
})

test('ID tokens can be signed with ES256', async () => {
  const other = await startIdentityProvider({ tls, signingAlgorithm: 'ES256' })
  const { idToken } = await issueTokens(other, people.ana)
  await other.stop()
  expect(decodeProtectedHeader(idToken).alg).toBe('ES256')
})
