import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { refusalOf } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attack E8.
//
// Whoever can answer for the discovery document or the keys decides who is who. The document has to be the issuer's own,
// at its own address, from a server with its own certificate.

const UNAVAILABLE = {
  code: 503,
  reason: 'ServiceUnavailable',
  message: 'the identity provider cannot be reached, so the token cannot be checked; try again shortly',
}
const WELL_KNOWN = '/.well-known/openid-configuration'
let issuer: StagedIssuer
let attacker: StagedIssuer
let authenticator: OidcAuthenticator | undefined

beforeAll(async () => {
  ;[issuer, attacker] = await Promise.all([startStagedIssuer(), startStagedIssuer()])
  attacker.discovery = { issuer: issuer.url, jwks_uri: `${attacker.url}/keys` }
})
afterAll(() => Promise.all([issuer.close(), attacker.close()]))
beforeEach(() => {
  issuer.discovery = { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }
  issuer.staged.clear()
  issuer.seen.length = 0
})
afterEach(() => authenticator?.close())

/** Presents a token that the attacker signed for the issuer, and then one that the issuer signed. */
async function presentTokens(): Promise<string> {
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
  for (const signer of [attacker, issuer]) {
    expect(await refusalOf(authenticator, await signer.sign({ iss: issuer.url }))).toMatchObject(UNAVAILABLE)
  }
  expect(attacker.seen).toEqual([])
  const [readiness] = authenticator.readiness()
  expect(readiness?.ready).toBe(false)
  return readiness?.reason ?? ''
}

test('a document and keys in their place are accepted', async () => {
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
  expect(await authenticator.authenticate(bearer(await issuer.sign()))).toHaveProperty('issuer', issuer.url)
})

test.for<[string, (url: string) => unknown]>([
  ['of another issuer', () => 'https://evil.example'],
  ['of the same issuer with a slash', (url) => `${url}/`],
  ['of the same issuer in capitals', (url) => url.toUpperCase()],
  ['of a list of issuers', (url) => [url]],
  ['of no issuer', () => undefined],
])('a document %s is refused', async ([, change]) => {
  issuer.discovery = { ...issuer.discovery, issuer: change(issuer.url) }
  expect(await presentTokens()).toMatch(/is of issuer|is not a discovery document/)
})

test('a redirect of the discovery document to another server is not followed', async () => {
  issuer.staged.set(WELL_KNOWN, (_request, response) =>
    response.writeHead(302, { location: attacker.url + WELL_KNOWN }).end(),
  )
  expect(await presentTokens()).toContain('it redirects elsewhere, which is not followed')
})

test('a redirect of the keys to another server is not followed', async () => {
  issuer.staged.set('/keys', (_request, response) =>
    response.writeHead(307, { location: `${attacker.url}/keys` }).end(),
  )
  expect(await presentTokens()).toContain('it redirects elsewhere, which is not followed')
})

test.for<[string, () => unknown]>([
  ['over plain http', () => attacker.url.replace('https:', 'http:') + '/keys'],
  ['in a file', () => 'file:///etc/keys.json'],
  ['in the document itself', () => `data:application/json,${encodeURIComponent(JSON.stringify(attacker.keys))}`],
  ['at a relative address', () => '/keys'],
  ['nowhere', () => undefined],
])('keys %s are not fetched', async ([, keysUrl]) => {
  issuer.discovery = { ...issuer.discovery, jwks_uri: keysUrl() }
  expect(await presentTokens()).toContain('names no jwks_uri with https')
})

test('a server in the place of the issuer with a certificate of another authority is not believed', async () => {
  const other = createCertificateAuthority()
  authenticator = createAuthenticator({ issuers: [issuer.options({ certificateAuthority: other.certificate })] })
  expect(await refusalOf(authenticator, await issuer.sign())).toMatchObject(UNAVAILABLE)
  expect(issuer.seen).toEqual([])
  expect(authenticator.readiness()[0]?.reason).toContain('certificate')
})
