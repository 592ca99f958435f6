import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { SigningAlgorithm } from './issuer-options.ts'

/** Smallest RSA modulus, in bits (RFC 7518 section 3.3). */
const MIN_RSA_BITS = 2048
/** Most keys of one set that are read. Issuers publish a handful. */
export const MAX_KEYS = 100

/** A public key of an issuer, for signatures. */
export interface VerificationKey {
  /** Empty when the issuer gives none. */
  readonly id: string
  /** The algorithms it can be used with: those of its type, or the one it is published for. */
  readonly algorithms: readonly SigningAlgorithm[]
  readonly publicKey: KeyObject
  /** The same for the same key with the same id and algorithms, whenever it is read. */
  readonly fingerprint: string
}

const RSA_ALGORITHMS: readonly SigningAlgorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const CURVE_ALGORITHMS: ReadonlyMap<unknown, SigningAlgorithm> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
  ['Ed25519', 'EdDSA'],
])

/**
 * Reads the keys of a JWK Set that can verify signatures. What cannot is left out: keys for encryption, symmetric keys,
 * RSA below {@link MIN_RSA_BITS}, unknown curves, points off the curve. Private members are never read.
 *
 * @throws Error when it is no JWK Set or none of its keys can be used.
 * @see RFC 7517
 */
export function readKeySet(document: unknown): readonly VerificationKey[] {
  const keys = isRecord(document) ? document['keys'] : undefined
  if (!Array.isArray(keys)) throw new Error('is not a JWK Set')
  if (keys.length > MAX_KEYS) throw new Error(`has more than ${MAX_KEYS} keys`)
  const usable = keys.map(readKey).filter((key) => key !== undefined)
  if (usable.length === 0) throw new Error('has no key that can verify signatures')
  return usable
}

function readKey(jwk: unknown): VerificationKey | undefined {
  if (!isRecord(jwk)) return undefined
  const { kid = '', use = 'sig', key_ops: operations = ['verify'], alg } = jwk
  if (typeof kid !== 'string' || use !== 'sig') return undefined
  if (!Array.isArray(operations) || !operations.includes('verify')) return undefined
  const possible = algorithmsOf(jwk)
  const algorithms = alg === undefined ? possible : possible.filter((name) => name === alg)
  const publicKey = algorithms.length === 0 ? undefined : importPublicKey(jwk)
  if (publicKey === undefined) return undefined
  const { modulusLength = MIN_RSA_BITS } = publicKey.asymmetricKeyDetails ?? {}
  if (modulusLength < MIN_RSA_BITS) return undefined
  const der = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  return {
    id: kid,
    algorithms,
    publicKey,
    fingerprint: hash('sha256', JSON.stringify([kid, algorithms, der]), 'base64'),
  }
}

function algorithmsOf({ kty, crv }: Record<string, unknown>): readonly SigningAlgorithm[] {
  if (kty === 'RSA') return RSA_ALGORITHMS
  const algorithm = CURVE_ALGORITHMS.get(crv)
  return algorithm !== undefined && kty === (algorithm === 'EdDSA' ? 'OKP' : 'EC') ? [algorithm] : []
}

function importPublicKey({ kty, n, e, crv, x, y }: Record<string, unknown>): KeyObject | undefined {
  try {
    return createPublicKey({ format: 'jwk', key: { kty, n, e, crv, x, y } as JsonWebKey })
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
