import { hash } from 'node:crypto'
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
 * 3. `nonce`: what the client made up for this sign-in. A token that is refreshed repeats it or has none (section 12.2),
 *    so that a new one takes a new sign-in.
 * 4. None of them: all such tokens of the person at the issuer are one login, and each may come from any sign-in of
 *    theirs. What differs from token to token (`jti`, `iat`) would make each refresh another login.
 */
export interface SignIn {
  /** Names the login among all of all issuers. */
  readonly key: string
  readonly sub: string
  /** Empty without one. */
  readonly sid: string
  /** By `auth_time`, in milliseconds since the epoch; null without one. */
  readonly authenticatedAtMs: number | null
  /** False for the last kind. */
  readonly identified: boolean
  /** By `iat`, in milliseconds since the epoch; 0 without one. Whoever holds a refresh token can get a newer one. */
  readonly issuedAtMs: number
  /**
   * What shows that the person signed in after a login of the same key was revoked, in milliseconds since the epoch:
   * `auth_time`. 0 where there is none, for then nothing shows it; and `iat` for a token that names no sign-in.
   */
  readonly atMs: number
}

/** @param claims those of an ID token that holds. */
export function signInOf(issuer: string, claims: Claims): SignIn {
  const sub = textOf(claims, 'sub')
  const sid = textOf(claims, 'sid').slice(0, MAX_SID_LENGTH + 1)
  const nonce = textOf(claims, 'nonce')
  const authenticatedAtMs = timeOf(claims, 'auth_time')
  const issuedAtMs = timeOf(claims, 'iat') ?? 0
  const named = (session: string): SignIn => {
    const key = keyOf(issuer, sub, session)
    return { key, sub, sid: '', authenticatedAtMs, identified: true, issuedAtMs, atMs: authenticatedAtMs ?? 0 }
  }
  if (sid !== '' && sid.length <= MAX_SID_LENGTH) return { ...named(`sid ${sid}`), sid }
  if (authenticatedAtMs !== null) return named(`auth_time ${authenticatedAtMs}`)
  if (nonce !== '') return named(`nonce ${hash('sha256', nonce, 'base64url')}`)
  return { ...named(''), identified: false, atMs: issuedAtMs }
}

/** The key of all tokens of a person that name no sign-in. */
export function unidentifiedKey(issuer: string, sub: string): string {
  return keyOf(issuer, sub, '')
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
