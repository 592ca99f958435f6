import { createHmac, createPublicKey } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import {
  bearer,
  claimsOfAna,
  createSigningKey,
  type SigningKey,
  type StagedIssuer,
  startStagedIssuer,
} from '../support/staged-issuer.ts'

// Attack E2.
//
// The public key is public. Used as an HMAC secret, anybody could sign.

let issuer: StagedIssuer
let key: SigningKey
let authenticator: OidcAuthenticator
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

beforeAll(async () => {
  issuer = await startStagedIssuer()
  key = await createSigningKey('rsa-key', 'RS256')
  const { alg, ...anyAlgorithm } = key.publicJwk
  expect(alg).toBe('RS256')
  issuer.keys = { keys: [anyAlgorithm, { kty: 'oct', kid: 'rsa-key', k: encode('secret') }] }
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

test('the token that is signed with the private key is accepted', async () => {
  expect(await authenticator.authenticate(bearer(await issuer.sign({}, { key })))).toHaveProperty('issuer', issuer.url)
})

const digests = [
  ['HS256', 'sha256'],
  ['HS384', 'sha384'],
  ['HS512', 'sha512'],
] as const
const secrets = [
  ['the key in PEM', () => publicKey().export({ type: 'spki', format: 'pem' })],
  [
    'the key in PEM without its last line break',
    () => publicKey().export({ type: 'spki', format: 'pem' }).toString().trim(),
  ],
  ['the key in DER', () => publicKey().export({ type: 'spki', format: 'der' })],
  ['the key as JWK', () => JSON.stringify(key.publicJwk)],
  ['the symmetric key that the issuer published', () => encode('secret')],
] as const

for (const [alg, digest] of digests) {
  test.for(secrets)(`${alg} with %s is refused`, async ([, secret]) => {
    const signed = `${encode({ alg, kid: 'rsa-key' })}.${encode(claimsOfAna(issuer.url))}`
    const signature = createHmac(digest, secret()).update(signed).digest('base64url')
    expect(await refusalOf(authenticator, `${signed}.${signature}`)).toEqual(
      unauthorized('the token is signed in a way that is not accepted'),
    )
  })
}

test('an algorithm of the right family that the operator did not list is refused', async () => {
  const strict = createAuthenticator({ issuers: [issuer.options({ algorithms: ['RS256'] })] })
  const other = await createSigningKey('rsa-key', 'PS256')
  expect(await refusalOf(strict, await issuer.sign({}, { key: other }))).toEqual(
    unauthorized('the token is signed in a way that is not accepted'),
  )
  strict.close()
})

test('an elliptic curve algorithm finds no key among RSA keys', async () => {
  const other = await createSigningKey('rsa-key', 'ES256')
  expect(await refusalOf(authenticator, await issuer.sign({}, { key: other }))).toEqual(
    unauthorized('the token is signed with a key that its issuer does not publish'),
  )
})

function publicKey(): ReturnType<typeof createPublicKey> {
  return createPublicKey({ format: 'jwk', key: { ...key.publicJwk } })
}
