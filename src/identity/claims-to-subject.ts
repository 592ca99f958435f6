import type { StatusError } from '../kube/status.ts'
import { quote } from '../kube/quote.ts'
import type { Subject } from '../kube/subject.ts'
import type { ClaimMappings, PrefixedClaim } from './issuer-options.ts'
import { refusal } from './refusal.ts'
import { flawOfName, isPlainEmail, isReservedName } from './subject-name.ts'
import { type Claims, claimOf } from './unverified-token.ts'

/** Most groups of one subject, and most values of one extra key. */
export const MAX_GROUPS = 1000

/**
 * Makes the subject that verified claims stand for. Frozen at every depth.
 *
 * @throws StatusError 401 when a claim is missing, of another type, unfit for a name, or reserved once it is prefixed;
 * and when the issuer kept groups back, since a subject without them could escape a rule that denies.
 */
export function subjectFromClaims(claims: Claims, mappings: ClaimMappings): Subject {
  return Object.freeze({
    username: usernameFrom(claims, mappings.username),
    uid: mappings.uid === undefined ? '' : named(stringOf(claims, mappings.uid.claim), mappings.uid.claim),
    groups: Object.freeze(mappings.groups === undefined ? [] : groupsFrom(claims, mappings.groups)),
    extra: extraFrom(claims, mappings.extra ?? []),
  })
}

function usernameFrom(claims: Claims, { claim, prefix }: PrefixedClaim): string {
  const value = stringOf(claims, claim)
  if (claim === 'email') assertEmail(claims, value)
  return unreserved(prefix + named(value, claim), claim)
}

function groupsFrom(claims: Claims, { claim, prefix }: PrefixedClaim): string[] {
  assertNoneKeptBack(claims, claim)
  const groups = listOf(claims, claim).map((group) => unreserved(prefix + named(group, claim), claim))
  return [...new Set(groups)]
}

function extraFrom(claims: Claims, mappings: NonNullable<ClaimMappings['extra']>): Subject['extra'] {
  const extra = Object.create(null) as Record<string, readonly string[]>
  for (const { key, claim } of mappings) {
    assertNoneKeptBack(claims, claim)
    const values = listOf(claims, claim).map((value) => named(value, claim))
    if (values.length > 0) extra[key] = Object.freeze(values)
  }
  return Object.freeze(extra)
}

/** @see k8s.io/apiserver `plugin/pkg/authenticator/token/oidc/oidc.go`, getUsername */
function assertEmail(claims: Claims, address: string): void {
  const verified = claimOf(claims, 'email_verified')
  if (verified !== undefined && verified !== true) throw refusal('the e-mail address in the token is not verified')
  if (!isPlainEmail(address)) throw refusal('the e-mail address in the token is not a plain one')
}

/**
 * An issuer with too many groups for a token puts a reference in their place: `_claim_names` (OpenID Connect Core
 * section 5.6.2; Entra ID above 200 groups) or `hasgroups` (Entra ID).
 */
function assertNoneKeptBack(claims: Claims, claim: string): void {
  const elsewhere = claimOf(claims, '_claim_names')
  const keptBack =
    elsewhere !== undefined &&
    (typeof elsewhere !== 'object' || elsewhere === null || Array.isArray(elsewhere) || Object.hasOwn(elsewhere, claim))
  if (keptBack || (claim === 'groups' && (claimOf(claims, 'hasgroups') ?? false) !== false)) {
    throw refusal(
      'the issuer left your groups out of the token because they are too many; an administrator there has to ' +
        'limit them to those assigned to this application, or use application roles',
    )
  }
}

function stringOf(claims: Claims, claim: string): string {
  const value = claimOf(claims, claim)
  if (typeof value === 'string') return value
  throw refusal(`the token has no usable ${quote(claim)} claim`)
}

function listOf(claims: Claims, claim: string): readonly string[] {
  const value = claimOf(claims, claim) ?? []
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > MAX_GROUPS)
    throw refusal(`the ${quote(claim)} claim of the token has more than ${MAX_GROUPS} entries`)
  if (!list.every((entry) => typeof entry === 'string')) throw unusable(claim, 'is not a list of text')
  return list
}

function named(value: string, claim: string): string {
  const flaw = flawOfName(value)
  if (flaw !== undefined) throw unusable(claim, flaw)
  return value
}

function unreserved(name: string, claim: string): string {
  if (isReservedName(name)) throw unusable(claim, 'makes a name that is reserved for Kubernetes')
  return name
}

function unusable(claim: string, flaw: string): StatusError {
  return refusal(`the ${quote(claim)} claim of the token ${flaw}`)
}
