import { type StatusError, badRequest } from '../kube/status.ts'
import { CLOCK_LEEWAY_SECONDS, LAST_SECOND } from './id-token-claims.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { type Claims, claimOf } from './unverified-token.ts'

/** What a logout token is about (OpenID Connect Back-Channel Logout 1.0 section 2.4). */
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** Longest that one may hold, in seconds: for so long it is remembered. Two minutes is what is recommended. */
const MAX_LOGOUT_TOKEN_SECONDS = 3600
/** Longest `jti`, `sub` and `sid`, in UTF-16 units. */
const MAX_ID_LENGTH = 1024

/** `typ` of its header, where the issuer gives one (section 2.4). */
export const LOGOUT_TOKEN_TYPE = /^(?:application\/)?(?:logout\+)?jwt$/i

/** What an issuer says has ended. */
export interface LogoutToken {
  /** URL. */
  readonly issuer: string
  /** Once in all its tokens. */
  readonly jti: string
  /** Whose; empty when it names only a session. One of both is there. */
  readonly sub: string
  /** Which session; empty when all of the person's ended. */
  readonly sid: string
  /** Milliseconds since the epoch. */
  readonly issuedAtMs: number
  /** The same, leeway included. */
  readonly expiresAtMs: number
}

/**
 * Reads the verified claims of an issuer's token as those of a logout token for its client, now.
 *
 * @param nowMs milliseconds since the epoch.
 * @throws StatusError 400 naming the first thing that is wrong.
 * @see OpenID Connect Back-Channel Logout 1.0 section 2.6
 */
export function readLogoutClaims(claims: Claims, { url, client }: IssuerOptions, nowMs: number): LogoutToken {
  const audience = claimOf(claims, 'aud')
  const all: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  if (client === undefined || !all.includes(client.id)) throw refused('is meant for another client')
  if (!isLogoutEvent(claimOf(claims, 'events'))) throw refused('is none')
  if (claimOf(claims, 'nonce') !== undefined) throw refused('has a nonce, which none has')
  const issuedAtSeconds = timeOf(claims, 'iat')
  const expirySeconds = timeOf(claims, 'exp')
  const nowSeconds = nowMs / 1000
  if (nowSeconds >= expirySeconds + CLOCK_LEEWAY_SECONDS) throw refused('expired')
  if (issuedAtSeconds > nowSeconds + CLOCK_LEEWAY_SECONDS) throw refused('was issued in the future')
  if (expirySeconds > nowSeconds + MAX_LOGOUT_TOKEN_SECONDS)
    throw refused(`is valid for more than ${MAX_LOGOUT_TOKEN_SECONDS / 60} minutes`)
  const [jti, sub, sid] = [idOf(claims, 'jti'), idOf(claims, 'sub'), idOf(claims, 'sid')]
  if (jti === '') throw refused('has no jti')
  if (sub === '' && sid === '') throw refused('names neither a person nor a session')
  return {
    issuer: url,
    jti,
    sub,
    sid,
    issuedAtMs: issuedAtSeconds * 1000,
    expiresAtMs: (expirySeconds + CLOCK_LEEWAY_SECONDS) * 1000,
  }
}

/** What the member holds is to be an empty object, and has no meaning. */
function isLogoutEvent(events: unknown): boolean {
  const event = isRecord(events) && Object.hasOwn(events, LOGOUT_EVENT) ? events[LOGOUT_EVENT] : undefined
  return isRecord(event)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Empty when the claim is not there. */
function idOf(claims: Claims, name: 'jti' | 'sub' | 'sid'): string {
  const id = claimOf(claims, name) ?? ''
  if (typeof id !== 'string' || id.length > MAX_ID_LENGTH) throw refused(`has no usable ${name}`)
  return id
}

/** Seconds since the epoch. */
function timeOf(claims: Claims, name: 'iat' | 'exp'): number {
  const time = claimOf(claims, name)
  if (typeof time === 'number' && time >= 0 && time <= LAST_SECOND) return time
  throw refused(`has no usable ${name} time`)
}

/** @param what goes on behind "the logout token"; repeats nothing of it. */
function refused(what: string): StatusError {
  return badRequest(`the logout token ${what}`)
}
