import { refusal } from './refusal.ts'

/** The claims of a token, whatever their types. Read them with {@link claimOf}. */
export type Claims = Readonly<Record<string, unknown>>

/** What a token says of itself before its signature was checked. Good for choosing issuer and key, for nothing else. */
export interface UnverifiedToken {
  readonly text: string
  /** Header `alg`, any text. */
  readonly algorithm: string
  /** Header `kid`. */
  readonly keyId: string | undefined
  /** Claim `iss`, any text. */
  readonly issuer: string
  /** All that it claims, which anybody could have written. */
  readonly unverifiedClaims: Claims
}

/**
 * Takes a compact JWS apart. Of the header only `alg`, `kid`, `typ` and `crit` are looked at: keys and addresses in it
 * (`jwk`, `jku`, `x5c`, `x5u`) have no effect.
 *
 * @param kind what `typ` may be, which is that of an ID token unless told.
 * @throws StatusError 401 for anything that is not a signed JWT: encrypted, another `typ`, a critical extension.
 * @see RFC 7515 section 4.1, RFC 8725 section 3.11
 */
export function parseToken(text: string, kind: RegExp = ID_TOKEN_TYPE): UnverifiedToken {
  if (ENCRYPTED.test(text)) throw refusal('an encrypted token is not accepted')
  if (!COMPACT.test(text)) throw refusal('the token is not a JSON Web Token')
  const [header = '', payload = ''] = text.split('.')

  const { alg, kid, typ = 'JWT', crit } = parseJsonObject(Buffer.from(header, 'base64url'))
  if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string') || crit !== undefined) {
    throw refusal('the header of the token is not one that can be read')
  }
  if (typeof typ !== 'string' || !kind.test(typ))
    throw refusal(kind === ID_TOKEN_TYPE ? 'the token is not an ID token' : 'the token is of another kind')
  const unverifiedClaims = parseJsonObject(Buffer.from(payload, 'base64url'))
  const issuer = claimOf(unverifiedClaims, 'iss')
  if (typeof issuer !== 'string') throw refusal('the token does not say who issued it')
  return { text, algorithm: alg, keyId: kid, issuer, unverifiedClaims }
}

/** A claim by its exact name; undefined when the token does not have it. */
export function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

/** @throws StatusError 401 when the bytes are not a JSON object in UTF-8. */
export function parseJsonObject(bytes: Uint8Array): Claims {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    value = undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refusal('the token is not a JSON Web Token')
  return value as Claims
}

const ID_TOKEN_TYPE = /^(?:application\/)?jwt$/i

/** Three parts. The signature may be empty, so that an unsigned token is refused for its algorithm. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]*$/
/** Five parts (RFC 7516 section 3.1). */
const ENCRYPTED = /^[\w-]+(?:\.[\w-]*){4}$/
