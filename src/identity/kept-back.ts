import { refusal } from './refusal.ts'
import { type Claims, claimOf } from './unverified-token.ts'

/**
 * Claims that the issuer left out of a token because they are too large, and put a reference in their place:
 * `_claim_names` (OpenID Connect Core section 5.6.2; Entra ID above 200 groups) or `hasgroups` (Entra ID).
 * Null when it cannot be told which.
 */
export function claimsKeptBack(claims: Claims): ReadonlySet<string> | null {
  const elsewhere = claimOf(claims, '_claim_names') ?? {}
  if (typeof elsewhere !== 'object' || Array.isArray(elsewhere)) return null
  const names = new Set(Object.keys(elsewhere))
  if ((claimOf(claims, 'hasgroups') ?? false) !== false) names.add('groups')
  return names
}

/**
 * A decision that rests on a claim must not be made without it: a subject without their groups could escape a rule that
 * denies.
 *
 * @param wanted names of claims; null for all of them.
 * @throws StatusError 401 when one of them was kept back.
 */
export function assertNoneKeptBack(claims: Claims, wanted: ReadonlySet<string> | null): void {
  const names = claimsKeptBack(claims)
  if (names?.size === 0) return
  if (names !== null && wanted?.isDisjointFrom(names) === true) return
  throw refusal(
    'the issuer left your groups out of the token because they are too many; an administrator there has to limit them ' +
      'to those assigned to this application, or use application roles, or the connector has to be told where to ask ' +
      'for them ("groupsFrom")',
  )
}
