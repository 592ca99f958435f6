import { hash } from 'node:crypto'
import type { LoginRecord, Revocation } from './login.ts'

const DAY_MS = 24 * 3600 * 1000
/** How long a revocation is remembered. A refresh token that holds for longer outlives it. */
export const REVOKED_KEPT_MS = 400 * DAY_MS
/** Of a {@link Cutoff.signIn}, in characters of base64url. Two of a person that meet would but refuse one more. */
const SIGN_IN_LENGTH = 22

/** Stands for all sign-ins of a person that are not known otherwise: what many revocations of theirs were folded into. */
export const ALL_SIGN_INS = ''

/**
 * Where logins that were revoked leave off: only who signed in after it comes in again. It is what a revocation rests on;
 * the login itself is remembered for people to read.
 */
export interface Cutoff {
  /** URL. */
  readonly issuer: string
  /** Claim `sub`. */
  readonly sub: string
  /** See {@link cutoffName}, or {@link ALL_SIGN_INS}. */
  readonly signIn: string
  /** The last {@link SignIn.atMs} that is refused, in milliseconds since the epoch. */
  readonly atMs: number
  /**
   * Whether the person signed out with the login itself: then it is not feared that anybody else holds it, and of tokens
   * that name no sign-in only those are refused that were issued by then. Of any other revocation all are.
   */
  readonly isSignOut: boolean
  /** Milliseconds since the epoch. */
  readonly keptUntilMs: number
}

/** What a sign-in is remembered by: a digest of {@link SignIn.key}. */
export function cutoffName(key: string): string {
  return hash('sha256', key, 'base64url').slice(0, SIGN_IN_LENGTH)
}

/** What the revocation of a login leaves. */
export function cutoffOf(
  { issuer, sub, key, newestSignInAtMs }: LoginRecord,
  revocation: Revocation,
  isSignOut: boolean,
): Cutoff {
  // The clock of the issuer may be ahead.
  const atMs = Math.max(revocation.atMs, newestSignInAtMs)
  return { issuer, sub, signIn: cutoffName(key), atMs, isSignOut, keptUntilMs: revocation.atMs + REVOKED_KEPT_MS }
}

/** One that refuses what either does, for as long as either. It has the name of the first. */
export function merged(one: Cutoff, other: Cutoff | undefined): Cutoff {
  if (other === undefined) return one
  return {
    ...one,
    atMs: Math.max(one.atMs, other.atMs),
    isSignOut: one.isSignOut && other.isSignOut,
    keptUntilMs: Math.max(one.keptUntilMs, other.keptUntilMs),
  }
}
