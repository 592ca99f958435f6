import { afterAll, beforeAll, expect, test } from 'vitest'
import { REFRESH_COOLDOWN_MS } from '../../src/identity/key-set.ts'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import {
  bearer,
  createSigningKey,
  type SigningKey,
  type StagedIssuer,
  startStagedIssuer,
} from '../support/staged-issuer.ts'

// Attack E3.
//
// A token may bring its own key, or say where to fetch it. Neither is looked at.

let issuer: StagedIssuer
let attacker: StagedIssuer
let forged: SigningKey
let authenticator: OidcAuthenticator
let nowMs = Date.now()

beforeAll(async () => {
  issuer = await startStagedIssuer()
  attacker = await startStagedIssuer()
  forged = await createSigningKey(issuer.key.id)
  attacker.keys = { keys: [forged.publicJwk] }
  authenticator = createAuthenticator({ issuers: [issuer.options()], clock: () => nowMs })
})
afterAll(async () => {
  authenticator.close()
  await Promise.all([issuer.close(), attacker.close()])
})

test('the token of the issuer is accepted', async () => {
  expect(await authenticator.authenticate(bearer(await issuer.sign()))).toHaveProperty('issuer', issuer.url)
})

test.for<[string, () => Record<string, unknown>]>([
  ['with its key in the header', () => ({ jwk: forged.publicJwk })],
  ['with the address of its keys', () => ({ jku: `${attacker.url}/keys` })],
  ['with the address of its certificate', () => ({ x5u: `${attacker.url}/keys` })],
  ['with a certificate chain', () => ({ x5c: ['MIIB'], x5t: 'AAAA' })],
  [
    'with all of them',
    () => ({ jwk: forged.publicJwk, jku: `${attacker.url}/keys`, x5u: attacker.url, x5c: ['MIIB'] }),
  ],
])('a forged token %s is refused, and nobody is asked', async ([, header]) => {
  const token = await issuer.sign({ email: 'admin@example.com' }, { key: forged, header: header() })
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the signature of the token does not hold'))
  expect(attacker.seen).toEqual([])
})

test('a forged token that says in its claims where the keys are is refused, and nobody is asked', async () => {
  const claims = { jwks_uri: `${attacker.url}/keys`, _claim_sources: { src1: { endpoint: attacker.url } } }
  expect(await refusalOf(authenticator, await issuer.sign(claims, { key: forged }))).toEqual(
    unauthorized('the signature of the token does not hold'),
  )
  expect(attacker.seen).toEqual([])
})

test.for([
  ['a path', '../../../../dev/null'],
  ['an absolute path', '/etc/passwd'],
  ['SQL', "x' UNION SELECT 'key' --"],
  ['a URL', 'https://127.0.0.1:1/keys'],
  ['a property of every object', '__proto__'],
  ['another property of every object', 'constructor'],
  ['empty', ''],
  ['long', 'k'.repeat(8000)],
  ['with a line break', 'first-key\r\nX: y'],
] as const)('a key id that is %s is only looked up, and not found', async ([, kid]) => {
  nowMs += REFRESH_COOLDOWN_MS
  const before = issuer.seen.length
  const token = await issuer.sign({}, { header: { kid }, nowMs })
  expect(await refusalOf(authenticator, token)).toEqual(
    unauthorized('the token is signed with a key that its issuer does not publish'),
  )
  expect(issuer.seen.slice(before).every((path) => ['/keys', '/.well-known/openid-configuration'].includes(path))).toBe(
    true,
  )
})

test.for([
  ['an object', {}],
  ['a list', ['first-key']],
  ['a number', 1],
  ['null', null],
] as const)('a key id that is %s is refused', async ([, kid]) => {
  const [, payload = '', signature = ''] = (await issuer.sign()).split('.')
  const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid })).toString('base64url')
  expect(await refusalOf(authenticator, `${header}.${payload}.${signature}`)).toEqual(
    unauthorized('the header of the token is not one that can be read'),
  )
})
