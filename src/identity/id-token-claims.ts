import { excerpt } from '../kube/quote.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { refusal } from './refusal.ts'
import { type Claims, claimOf } from './unverified-token.ts'

/** How far the clocks of issuer and connector may be apart, in seconds. */
export const CLOCK_LEEWAY_SECONDS = 30
/** A token that holds for longer is refused: nobody could take it back. */
export const MAX_LIFETIME_SECONDS = 30 * 24 * 3600
/** End of the year 9999, the last second that a date can print. */
export const LAST_SECOND = 253_402_300_799

/**
 * Checks that verified claims are those of an ID token for us, now.
 *
 * @param nowMs milliseconds since the epoch.
 * @returns when the token ends, leeway included, in milliseconds since the epoch.
 * @throws StatusError 401 naming the first thing that is wrong.
 * @see OpenID Connect Core 1.0 sections 2 and 3.1.3.7
 */
export function assertIdTokenClaims(claims: Claims, issuer: IssuerOptions, nowMs: number): number {
  assertKind(claims)
  assertAudience(claims, issuer)
  const expiresAtSeconds = assertTimes(claims, nowMs / 1000)
  const subject = claimOf(claims, 'sub')
  if (typeof subject !== 'string' || subject === '') throw refusal('the token does not say whose it is')
  for (const rule of issuer.claimValidationRules) {
    if ('claim' in rule && claimOf(claims, rule.claim) !== rule.requiredValue)
      throw refusal(`the token does not have the required value of ${excerpt(rule.claim)}`)
  }
  return (expiresAtSeconds + CLOCK_LEEWAY_SECONDS) * 1000
}

/**
 * Access, refresh and logout tokens are often JWTs of the same issuer and key. What tells them apart, where `typ` in
 * the header does not: `typ` (Keycloak), `token_use` (Amazon Cognito), `scp` (Entra ID and Okta access tokens),
 * `events` (OpenID Connect Back-Channel Logout 1.0 section 2.4).
 */
function assertKind(claims: Claims): void {
  const kind = claimOf(claims, 'typ') ?? 'ID'
  const use = claimOf(claims, 'token_use') ?? 'id'
  const marked = claimOf(claims, 'scp') !== undefined || claimOf(claims, 'events') !== undefined
  if (kind !== 'ID' || use !== 'id' || marked) throw refusal('the token is not an ID token')
}

function assertAudience(claims: Claims, { audiences, client }: IssuerOptions): void {
  const audience = claimOf(claims, 'aud')
  const all: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  if (!all.every((entry) => typeof entry === 'string')) throw refusal('the token does not say whom it is meant for')
  if (!audiences.some((own) => all.includes(own))) {
    const detail = `aud is ${excerpt(all.join(' '))}, accepted are ${audiences.join(', ')}`
    throw refusal('the token is meant for another audience', { detail })
  }
  const party = claimOf(claims, 'azp')
  if (party === undefined && all.length === 1) return
  if (typeof party !== 'string' || (party !== client?.id && !audiences.includes(party))) {
    const detail = `azp is ${typeof party === 'string' ? excerpt(party) : 'missing though there are several audiences'}`
    throw refusal('the token was issued to another client', { detail })
  }
}

function assertTimes(claims: Claims, nowSeconds: number): number {
  const expiry = timeOf(claims, 'exp')
  const issuedAt = timeOf(claims, 'iat')
  const notBefore = claimOf(claims, 'nbf') === undefined ? issuedAt : timeOf(claims, 'nbf')
  if (nowSeconds >= expiry + CLOCK_LEEWAY_SECONDS) throw refusal(`the token expired at ${isoTime(expiry)}`)
  if (issuedAt > nowSeconds + CLOCK_LEEWAY_SECONDS) {
    const detail = `iat is ${isoTime(issuedAt)}, now it is ${isoTime(nowSeconds)}: a clock is wrong`
    throw refusal('the token was issued in the future', { detail })
  }
  if (notBefore > nowSeconds + CLOCK_LEEWAY_SECONDS)
    throw refusal(`the token is not valid before ${isoTime(notBefore)}`)
  if (expiry > nowSeconds + MAX_LIFETIME_SECONDS) {
    throw refusal(`the token is valid for more than ${MAX_LIFETIME_SECONDS / (24 * 3600)} days`)
  }
  return expiry
}

/** Seconds since the epoch. JSON can spell infinity (`1e999`), which would never expire. */
function timeOf(claims: Claims, name: 'exp' | 'iat' | 'nbf'): number {
  const time = claimOf(claims, name)
  if (typeof time === 'number' && time >= 0 && time <= LAST_SECOND) return time
  throw refusal(`the token has no usable ${name} time`)
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
