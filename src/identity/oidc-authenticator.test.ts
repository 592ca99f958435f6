import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { bearer, createSigningKey, type StagedIssuer, startStagedIssuer } from '../../test/support/staged-issuer.ts'
import type { Authentication } from './authenticator.ts'
import { REFRESH_COOLDOWN_MS } from './key-set.ts'
import { Logins } from './logins/logins.ts'
import { createAuthenticator, type IssuerReadiness, type OidcAuthenticator, REFUSAL_MS } from './oidc-authenticator.ts'

let issuer: StagedIssuer
let authenticator: OidcAuthenticator
let nowMs: number
const reported: IssuerReadiness[] = []

const fetches = (): number => issuer.seen.filter((path) => path === '/keys').length
const authenticate = async (token: string): Promise<Authentication> => authenticator.authenticate(bearer(token))
const sign = (claims?: Record<string, unknown>): Promise<string> => issuer.sign(claims, { nowMs })

beforeAll(async () => {
  issuer = await startStagedIssuer()
})
afterAll(() => issuer.close())
beforeEach(() => {
  nowMs = Date.now()
  issuer.seen.length = 0
  reported.length = 0
  authenticator = createAuthenticator({
    issuers: [issuer.options()],
    clock: () => nowMs,
    onReadinessChange: (readiness) => reported.push(readiness),
  })
})
afterEach(() => {
  issuer.staged.clear()
  issuer.keys = { keys: [issuer.key.publicJwk] }
  authenticator.close()
})

test('a token becomes a subject, with its issuer and its end', async () => {
  expect(await authenticate(await sign())).toEqual({
    subject: { username: 'ana@example.com', uid: '', groups: ['payments-dev'], extra: {} },
    issuer: issuer.url,
    expiresAtMs: (Math.floor(nowMs / 1000) + 330) * 1000,
  })
})

test('a token seen before is answered at once, with the same subject, until it ends', async () => {
  const token = await sign()
  const first = await authenticate(token)
  const second = authenticator.authenticate(bearer(token))
  expect(second).toBe(first)

  nowMs = first.expiresAtMs - 1
  expect(authenticator.authenticate(bearer(token))).toBe(first)
  nowMs = first.expiresAtMs
  await expect(authenticate(token)).rejects.toThrow('the token expired at')
})

test('requests that bring the same new token share one verification', async () => {
  const token = await sign()
  const waiting = [authenticator.authenticate(bearer(token)), authenticator.authenticate(bearer(token))]
  expect(waiting[0]).toBe(waiting[1])
  expect(await waiting[0]).toHaveProperty('subject.username', 'ana@example.com')
})

test('a refused token is refused at once for a while, and then looked at again', async () => {
  const early = await issuer.sign({ nbf: Math.floor(nowMs / 1000) + 60 }, { nowMs })
  await expect(authenticate(early)).rejects.toThrow('not valid before')
  expect(() => authenticator.authenticate(bearer(early))).toThrow('not valid before')

  nowMs += 60_000
  expect(REFUSAL_MS).toBeLessThan(60_000)
  await expect(authenticate(early)).resolves.toHaveProperty('subject.username', 'ana@example.com')
})

test('a token whose key the issuer withdrew is verified again, and refused', async () => {
  const token = await sign()
  await authenticate(token)
  const next = await createSigningKey('next-key')
  issuer.keys = { keys: [next.publicJwk] }
  nowMs += REFRESH_COOLDOWN_MS

  await authenticate(await issuer.sign({}, { key: next, nowMs }))
  await expect(authenticate(token)).rejects.toThrow('a key that its issuer does not publish')
})

test('while the keys stay the same, a refresh does not forget who is who', async () => {
  const token = await sign()
  const before = await authenticate(token)
  const fetched = fetches()
  nowMs += REFRESH_COOLDOWN_MS
  const unknown = await createSigningKey('unknown')
  await expect(authenticate(await issuer.sign({}, { key: unknown, nowMs }))).rejects.toThrow('does not publish')

  expect(fetches()).toBe(fetched + 1)
  expect(authenticator.authenticate(bearer(token))).toBe(before)
})

test('an issuer that is away makes a 503, and is not the fault of the token', async () => {
  authenticator.close()
  issuer.staged.set('/.well-known/openid-configuration', (_request, response) => response.destroy())
  authenticator = createAuthenticator({ issuers: [issuer.options()], onReadinessChange: (it) => reported.push(it) })
  const token = await issuer.sign()

  await expect(authenticate(token)).rejects.toMatchObject({
    message: 'the identity provider cannot be reached, so the token cannot be checked; try again shortly',
    status: { code: 503, reason: 'ServiceUnavailable' },
    detail: expect.stringContaining(`cannot read ${issuer.url}/.well-known/openid-configuration: `) as unknown,
  })
  expect(authenticator.readiness()).toEqual([
    { issuer: issuer.url, ready: false, reason: expect.stringContaining('cannot read') as unknown },
  ])

  issuer.staged.clear()
  await expect.poll(() => authenticator.readiness()).toEqual([{ issuer: issuer.url, ready: true, reason: '' }])
  await expect(authenticate(token)).resolves.toHaveProperty('issuer', issuer.url)
  expect(reported.map(({ ready }) => ready)).toEqual([false, true])
})

test('each issuer answers for its own tokens, prefixes and readiness', async () => {
  const other = await startStagedIssuer({ path: '/realms/partners' })
  authenticator.close()
  authenticator = createAuthenticator({
    issuers: [
      issuer.options(),
      other.options({ claimMappings: { username: { claim: 'sub', prefix: 'partner:' } } }),
      issuer.options({ url: 'https://127.0.0.1:1', claimMappings: { username: { claim: 'sub', prefix: 'away:' } } }),
    ],
  })
  expect(await authenticate(await issuer.sign())).toHaveProperty('subject.username', 'ana@example.com')
  expect(await authenticate(await other.sign())).toMatchObject({
    issuer: other.url,
    subject: { username: 'partner:person-ana', groups: [] },
  })
  expect(authenticator.readiness().map(({ ready }) => ready)).toEqual([true, true, false])
  await other.close()
})

test('a discovery document may be elsewhere, if it is of the same issuer', async () => {
  authenticator.close()
  const url = 'https://sso.example.com'
  issuer.staged.set('/internal/discovery', (_request, response) => {
    response.end(JSON.stringify({ issuer: url, jwks_uri: `${issuer.url}/keys` }))
  })
  authenticator = createAuthenticator({
    issuers: [issuer.options({ url, discoveryURL: `${issuer.url}/internal/discovery` })],
  })
  expect(await authenticate(await issuer.sign({ iss: url }))).toHaveProperty('issuer', url)
})

test('an Ed25519 key is accepted only where the operator asked for it', async () => {
  const key = await createSigningKey('edwards', 'EdDSA')
  issuer.keys = { keys: [key.publicJwk] }
  authenticator.close()
  authenticator = createAuthenticator({ issuers: [issuer.options({ algorithms: ['EdDSA'] })] })
  const token = await issuer.sign({}, { key })
  expect(await authenticate(token)).toHaveProperty('issuer', issuer.url)
  authenticator.close()
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
  await expect(authenticate(token)).rejects.toThrow('signed in a way that is not accepted')
})

test.for(['RS256', 'RS512', 'PS384', 'ES256', 'ES384', 'ES512'])(
  'a token signed with %s is accepted',
  async (algorithm) => {
    const key = await createSigningKey('k', algorithm)
    issuer.keys = { keys: [key.publicJwk] }
    authenticator.close()
    authenticator = createAuthenticator({ issuers: [issuer.options()] })
    expect(await authenticate(await issuer.sign({}, { key }))).toHaveProperty('issuer', issuer.url)
  },
)

test('two authenticators in one process know nothing of each other', async () => {
  const token = await sign()
  await authenticate(token)
  const strict = createAuthenticator({ issuers: [issuer.options({ audiences: ['somebody-else'] })] })
  await expect(Promise.resolve(strict.authenticate(bearer(token)))).rejects.toThrow('another audience')
  strict.close()
  expect(await authenticate(token)).toHaveProperty('subject.username', 'ana@example.com')
})

test('a token of a login that is revoked is refused at once, though it was taken before', async () => {
  const logins = new Logins({ clock: () => nowMs })
  const withLogins = createAuthenticator({ issuers: [issuer.options()], clock: () => nowMs, logins })
  const token = await sign({ sid: 's' })
  const { login } = await withLogins.authenticate(bearer(token))
  expect(logins.list()).toEqual([login])
  // At once, and without looking for the login again.
  expect(withLogins.authenticate(bearer(token))).toHaveProperty('login', login)
  if (login === undefined) throw new Error('the token has no login')
  await logins.revoke(login, 'omar', '')
  expect(() => withLogins.authenticate(bearer(token))).toThrow('this login was revoked by omar; sign in again')
  nowMs += 1000
  await expect(withLogins.authenticate(bearer(await sign({ sid: 's' })))).rejects.toThrow(
    'this login was revoked by omar',
  )
  withLogins.close()
})
