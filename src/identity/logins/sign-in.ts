import { LAST_SECOND } from '../id-token-claims.ts'
import { type Claims, claimOf } from '../unverified-token.ts'

/** Longest `sid` that counts, in UTF-16 units. */
const MAX_SID_LENGTH = 256

/**
 * Which login a token belongs to, by its verified claims. In this order:
 *
 * 1. `sid`: the session at the issuer (OpenID Connect Front- and Back-Channel Logout), shared by all that is refreshed.
 * 2. `auth_time`: when the person proved who they are. Tokens that are refreshed repeat it (OpenID Connect Core 1.0
 *    section 12.2); whoever signs in on two machines at two times has two logins.
 * 3. Neither: all tokens of the person at the issuer are one login. What differs from token to token (`jti`, `iat`,
 *    `nonce`) would make each refresh another login, and a revocation would end with the token.
 */
export interface SignIn {
  /** Names the login among all of all issuers. */
  readonly key: string
  readonly sub: string
  /** Empty without one. */
  readonly sid: string
  /** By `auth_time`, in milliseconds since the epoch; null without one. */
  readonly authenticatedAtMs: number | null
  /**
   * What shows that the person signed in after their login was revoked, in milliseconds since the epoch: `auth_time`, or
   * `iat` for an issuer that gives neither `auth_time` nor `sid`. Whoever holds a refresh token can get a newer `iat`, so
   * where there is a `sid` alone it shows nothing, and this is 0: then another `sid` is needed.
   */
  readonly atMs: number
}

/** @param claims those of an ID token that holds. */
export function signInOf(issuer: string, claims: Claims): SignIn {
  const sub = textOf(claims, 'sub')
  const sid = textOf(claims, 'sid').slice(0, MAX_SID_LENGTH + 1)
  const authenticatedAtMs = timeOf(claims, 'auth_time')
  const base = { sub, authenticatedAtMs }
  if (sid !== '' && sid.length <= MAX_SID_LENGTH) {
    return { ...base, key: keyOf(issuer, sub, `sid ${sid}`), sid, atMs: authenticatedAtMs ?? 0 }
  }
  if (authenticatedAtMs !== null) {
    return { ...base, key: keyOf(issuer, sub, `auth_time ${authenticatedAtMs}`), sid: '', atMs: authenticatedAtMs }
  }
  return { ...base, key: keyOf(issuer, sub, ''), sid: '', atMs: timeOf(claims, 'iat') ?? 0 }
}

function keyOf(issuer: string, sub: string, session: string): string {
  return JSON.stringify([issuer, sub, session])
}

function textOf(claims: Claims, name: string): string {
  const text = claimOf(claims, name)
  return typeof text === 'string' ? text : ''
}

/** In milliseconds since the epoch. What is no time is none. */
function timeOf(claims: Claims, name: 'auth_time' | 'iat'): number | null {
  const seconds = claimOf(claims, name)
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= LAST_SECOND)) return null
  return Math.floor(seconds) * 1000
}
