import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, claimsOfAna, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks E1, E4.
//
// A token says of itself how it is signed. "Not at all" is not an answer.

let issuer: StagedIssuer
let authenticator: OidcAuthenticator
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

beforeAll(async () => {
  issuer = await startStagedIssuer()
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

test('the signed token is accepted', async () => {
  expect(await authenticator.authenticate(bearer(await issuer.sign()))).toHaveProperty('issuer', issuer.url)
})

test.for(['none', 'None', 'NONE', 'nOnE', ''])('alg %j without a signature is refused', async (alg) => {
  const unsigned = `${encode({ alg, kid: issuer.key.id })}.${encode(claimsOfAna(issuer.url))}.`
  expect(await refusalOf(authenticator, unsigned)).toEqual(
    unauthorized('the token is signed in a way that is not accepted'),
  )
})

test('alg none is refused with the signature of another token, too', async () => {
  const signature = (await issuer.sign()).split('.')[2] ?? ''
  const token = `${encode({ alg: 'none', kid: issuer.key.id })}.${encode(claimsOfAna(issuer.url))}.${signature}`
  expect(await refusalOf(authenticator, token)).toEqual(
    unauthorized('the token is signed in a way that is not accepted'),
  )
})

test.for([
  ['cut off', () => ''],
  ['of another token', (_: string, other: string) => other],
  ['of zeros', () => Buffer.alloc(64).toString('base64url')],
  ['in DER', () => Buffer.from('300602010002010030', 'hex').toString('base64url')],
  ['with r and s of the order', () => Buffer.from(P256_ORDER + P256_ORDER, 'hex').toString('base64url')],
  [
    'with a byte more',
    (signature: string) =>
      Buffer.from(`${Buffer.from(signature, 'base64url').toString('hex')}00`, 'hex').toString('base64url'),
  ],
] as const)('an ECDSA signature %s does not hold', async ([, change]) => {
  const [header = '', payload = '', signature = ''] = (await issuer.sign()).split('.')
  const other = (await issuer.sign({ sub: 'mallory' })).split('.')[2] ?? ''
  const token = `${header}.${payload}.${change(signature, other)}`
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the signature of the token does not hold'))
})

test('claims that were changed after signing do not hold', async () => {
  const [header = '', , signature = ''] = (await issuer.sign()).split('.')
  const changed = encode(claimsOfAna(issuer.url, { email: 'admin@example.com' }))
  expect(await refusalOf(authenticator, `${header}.${changed}.${signature}`)).toEqual(
    unauthorized('the signature of the token does not hold'),
  )
})

const P256_ORDER = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'
