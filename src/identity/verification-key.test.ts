import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MAX_KEYS, readKeySet } from './verification-key.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const otherCurve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
const okp = generateKeyPairSync('ed25519')
const jwk = (key: { readonly publicKey: typeof rsa.publicKey }, more: object = {}): JsonWebKey => ({
  ...key.publicKey.export({ format: 'jwk' }),
  kid: 'k',
  ...more,
})

test('a key can be used with the algorithms of its type', () => {
  const keys = readKeySet({ keys: [jwk(rsa), jwk(ec), jwk(okp)] })
  expect(keys.map(({ algorithms }) => algorithms)).toEqual([
    ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ['ES256'],
    ['EdDSA'],
  ])
})

test('a key is known again by its fingerprint, and only the very same key', () => {
  const fingerprint = (...keys: JsonWebKey[]): (string | undefined)[] =>
    readKeySet({ keys }).map((key) => key.fingerprint)
  expect(fingerprint(jwk(rsa))).toEqual(fingerprint(jwk(rsa)))
  const [first, ...others] = fingerprint(jwk(rsa), jwk(ec), jwk(rsa, { kid: 'other' }), jwk(rsa, { alg: 'RS256' }))
  expect(others).not.toContain(first)
})

test('a key that is published for one algorithm is used with no other', () => {
  expect(readKeySet({ keys: [jwk(rsa, { alg: 'RS256', use: 'sig', key_ops: ['verify'] })] })[0]?.algorithms).toEqual([
    'RS256',
  ])
})

test('the private half of a key is not read even when an issuer publishes it', () => {
  const leaked = { ...ec.privateKey.export({ format: 'jwk' }), kid: 'leaked' }
  expect(readKeySet({ keys: [leaked] })[0]?.publicKey.type).toBe('public')
})

describe('left out of a set', () => {
  test.for([
    ['a key for encryption', jwk(rsa, { use: 'enc' })],
    ['a key for other operations', jwk(rsa, { key_ops: ['encrypt'] })],
    ['a key with operations of odd type', jwk(rsa, { key_ops: 'verify' })],
    ['an RSA key below 2048 bits', jwk(weak)],
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0', kid: 'k' }],
    ['a key on another curve', jwk(otherCurve)],
    ['a point that is not on the curve', jwk(ec, { x: jwk(ec).y })],
    ['an EC key that says it is RSA', jwk(ec, { kty: 'RSA' })],
    ['an RSA key published for ECDSA', jwk(rsa, { alg: 'ES256' })],
    ['an RSA key published for HMAC', jwk(rsa, { alg: 'HS256' })],
    ['a key whose id is a number', jwk(ec, { kid: 7 })],
    ['null', null],
    ['text', 'key'],
    ['nothing', {}],
  ] as const)('is %s', ([, left]) => {
    const kept = jwk(ec, { kid: 'kept' })
    expect(readKeySet({ keys: [left, kept] }).map(({ id }) => id)).toEqual(['kept'])
  })
})

test.for([
  ['null', null, 'is not a JWK Set'],
  ['a list', [], 'is not a JWK Set'],
  ['an object without keys', {}, 'is not a JWK Set'],
  ['keys in an object', { keys: {} }, 'is not a JWK Set'],
  ['no keys', { keys: [] }, 'has no key that can verify'],
  ['no usable key', { keys: [jwk(weak)] }, 'has no key that can verify'],
  ['a flood of keys', { keys: Array.from({ length: MAX_KEYS + 1 }, () => jwk(ec)) }, 'has more than 100 keys'],
] as const)('%s is no key set', ([, document, problem]) => {
  expect(() => readKeySet(document)).toThrow(problem)
})
