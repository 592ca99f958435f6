import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startIdentityProvider, type IdentityProvider } from '../../sandbox/identity-provider.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { issueTokens, refreshTokens } from '../../sandbox/identity-provider/tokens.ts'
import type { Authentication } from '../../src/identity/authenticator.ts'
import type { IssuerOptions } from '../../src/identity/issuer-options.ts'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer } from '../support/staged-issuer.ts'

const authority = createCertificateAuthority()
const tls = { ...authority.issueServer(), ca: authority.certificate }
let provider: IdentityProvider
let authenticator: OidcAuthenticator
/** How far the authenticator's clock is ahead. */
let aheadMs = 0

beforeAll(async () => {
  provider = await startIdentityProvider({ tls })
})
afterAll(async () => {
  expect(provider.errors).toEqual([])
  await provider.stop()
})
afterEach(() => {
  authenticator.close()
  provider.setDown(false)
  aheadMs = 0
})

function open(overrides: Partial<IssuerOptions> = {}): void {
  const issuer: IssuerOptions = {
    url: provider.issuer,
    certificateAuthority: provider.certificateAuthority,
    audiences: [provider.clientId],
    client: { id: provider.clientId, scopes: ['openid', 'email', 'groups'] },
    claimMappings: {
      username: { claim: 'email', prefix: '' },
      groups: { claim: 'groups', prefix: 'sso:' },
      uid: { claim: 'sub' },
    },
    claimValidationRules: [],
    ...overrides,
  }
  authenticator = createAuthenticator({ issuers: [issuer], clock: () => Date.now() + aheadMs })
}
const authenticate = async (token: string): Promise<Authentication> => authenticator.authenticate(bearer(token))

test('people who sign in are who they are, with their groups', async () => {
  open()
  const [ana, omar, mallory] = [people.ana, people.omar, people.mallory].map(async (person) => {
    const { idToken } = await issueTokens(provider, person)
    return (await authenticate(idToken)).subject
  })
  expect(await ana).toEqual({
    username: 'ana@example.com',
    uid: 'person-ana',
    groups: ['sso:payments-dev', 'sso:everyone'],
    extra: {},
  })
  expect(await omar).toMatchObject({ username: 'omar@example.com', groups: ['sso:viewers', 'sso:everyone'] })
  expect(await mallory).toMatchObject({ username: 'mallory@example.com', groups: [] })
})

test('a refreshed ID token is as good as the first', async () => {
  open()
  const first = await issueTokens(provider, people.ana)
  const { idToken } = await refreshTokens(provider, first.refreshToken)
  expect((await authenticate(idToken)).subject).toEqual((await authenticate(first.idToken)).subject)
})

test('an access token and a refresh token are not ID tokens', async () => {
  open()
  const { accessToken, refreshToken } = await issueTokens(provider, people.ana)
  for (const token of [accessToken, refreshToken]) {
    expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the token is not a JSON Web Token'))
  }
})

test('a token ends when the provider said', async () => {
  open()
  const { idToken } = await issueTokens(provider, people.ana)
  const { expiresAtMs } = await authenticate(idToken)
  aheadMs = expiresAtMs - Date.now()
  expect(await refusalOf(authenticator, idToken)).toEqual(unauthorized('the token expired at '))
})

test('new keys are found by themselves, and the old ones are worth nothing then', async () => {
  open()
  const before = await issueTokens(provider, people.ana)
  await authenticate(before.idToken)
  await provider.rotateKeys()
  const after = await issueTokens(provider, people.ana)

  expect(await authenticate(after.idToken)).toHaveProperty('issuer', provider.issuer)
  expect(await refusalOf(authenticator, before.idToken)).toEqual(
    unauthorized('the token is signed with a key that its issuer does not publish'),
  )
})

test('a provider that is down at the start is not ready, says so, and is found when it comes back', async () => {
  const { idToken } = await issueTokens(provider, people.ana)
  provider.setDown(true)
  open()
  expect(await refusalOf(authenticator, idToken)).toMatchObject({ code: 503, reason: 'ServiceUnavailable' })
  expect(authenticator.readiness()).toEqual([
    {
      issuer: provider.issuer,
      ready: false,
      reason: expect.stringContaining(`cannot read ${provider.issuer}/`) as unknown,
    },
  ])

  provider.setDown(false)
  await expect.poll(() => authenticator.readiness()).toEqual([{ issuer: provider.issuer, ready: true, reason: '' }])
  expect(await authenticate(idToken)).toHaveProperty('subject.username', 'ana@example.com')
})

test('a provider that goes down later is not missed while its keys are known', async () => {
  open()
  const { idToken } = await issueTokens(provider, people.ana)
  const other = await issueTokens(provider, people.omar)
  await authenticate(idToken)
  provider.setDown(true)
  expect(await authenticate(other.idToken)).toHaveProperty('subject.username', 'omar@example.com')
  expect(authenticator.readiness()[0]?.ready).toBe(true)
})

test('a token for another audience, and one of another provider, are refused', async () => {
  open({ audiences: ['wiki'] })
  const { idToken } = await issueTokens(provider, people.ana)
  expect(await refusalOf(authenticator, idToken)).toEqual(unauthorized('the token is meant for another audience'))

  const other = await startIdentityProvider({ tls, signingAlgorithm: 'ES256' })
  const stranger = await issueTokens(other, people.ana)
  await other.stop()
  expect(await refusalOf(authenticator, stranger.idToken)).toEqual(
    unauthorized('the token comes from an issuer that is not known here'),
  )
})
