import { quote } from '../kube/quote.ts'
import type { StatusError } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { type CelExpression, type CelValue, compileCel } from './cel.ts'
import type { ClaimMappings, Expression, ExtraMapping, PrefixedClaim } from './issuer-options.ts'
import { assertNoneKeptBack } from './kept-back.ts'
import { refusal } from './refusal.ts'
import { flawOfName, isPlainEmail, isReservedName, MAX_GROUPS } from './subject-name.ts'
import { type Claims, claimOf } from './unverified-token.ts'

/** Verified claims, and the same as expressions see them; null when the issuer's options have no expression. */
export interface ClaimsInHand {
  readonly claims: Claims
  readonly cel: CelValue
}

type Values = (inHand: ClaimsInHand) => readonly string[]

/**
 * Prepares the way from claims to a subject, which is frozen at every depth.
 *
 * The function throws StatusError 401 when a claim is missing, of another type, unfit for a name, or reserved once it is
 * prefixed; when an expression fails; and when the issuer kept claims back that a mapping rests on.
 *
 * @throws Error with a phrase for an expression that is not sound; the document's schema finds it first.
 */
export function subjectMapper(mappings: ClaimMappings): (inHand: ClaimsInHand) => Subject {
  const username = usernameOf(mappings.username)
  const groups = mappings.groups === undefined ? () => [] : groupsOf(mappings.groups)
  const uid = mappings.uid === undefined ? () => '' : uidOf(mappings.uid)
  const extra = extraOf(mappings.extra ?? [])
  return (inHand) =>
    Object.freeze({
      username: username(inHand),
      uid: uid(inHand),
      groups: Object.freeze([...new Set(groups(inHand))]),
      extra: extra(inHand),
    })
}

function usernameOf(mapping: PrefixedClaim | Expression): (inHand: ClaimsInHand) => string {
  if ('expression' in mapping) {
    const expression = compileCel(mapping.expression, 'claims')
    const source = 'the expression for the username'
    return (inHand) => unreserved(named(textOf(evaluated(expression, inHand, source), source), source), source)
  }
  const { claim, prefix } = mapping
  return ({ claims }) => {
    const value = stringClaim(claims, claim)
    if (claim === 'email') assertEmail(claims, value)
    return unreserved(prefix + named(value, claimSource(claim)), claimSource(claim))
  }
}

function groupsOf(mapping: PrefixedClaim | Expression): Values {
  if ('expression' in mapping) {
    const source = 'the expression for the groups'
    const values = expressionValues(mapping.expression, source)
    return (inHand) => values(inHand).map((group) => unreserved(group, source))
  }
  const { claim, prefix } = mapping
  const values = claimValues(claim)
  return (inHand) => values(inHand).map((group) => unreserved(prefix + group, claimSource(claim)))
}

function uidOf(mapping: { readonly claim: string } | Expression): (inHand: ClaimsInHand) => string {
  if ('expression' in mapping) {
    const expression = compileCel(mapping.expression, 'claims')
    const source = 'the expression for the uid'
    return (inHand) => {
      const uid = textOf(evaluated(expression, inHand, source), source)
      return uid === '' ? '' : named(uid, source)
    }
  }
  return ({ claims }) => named(stringClaim(claims, mapping.claim), claimSource(mapping.claim))
}

function extraOf(mappings: readonly ExtraMapping[]): (inHand: ClaimsInHand) => Subject['extra'] {
  const prepared = mappings.map((mapping) => ({ key: mapping.key, valuesOf: extraValues(mapping) }))
  return (inHand) => {
    const extra = Object.create(null) as Record<string, readonly string[]>
    for (const { key, valuesOf } of prepared) {
      const values = valuesOf(inHand)
      if (values.length > 0) extra[key] = Object.freeze([...values])
    }
    return Object.freeze(extra)
  }
}

function extraValues(mapping: ExtraMapping): Values {
  return 'claim' in mapping
    ? claimValues(mapping.claim)
    : expressionValues(mapping.valueExpression, `the expression for ${quote(mapping.key)}`)
}

function claimValues(claim: string): Values {
  const wanted = new Set([claim])
  return ({ claims }) => {
    assertNoneKeptBack(claims, wanted)
    return namesIn(claimOf(claims, claim) ?? [], claimSource(claim))
  }
}

/** As Kubernetes has it, null and empty text in what an expression gives stand for nothing. */
function expressionValues(text: string, source: string): Values {
  const expression = compileCel(text, 'claims')
  return (inHand) => {
    const value = evaluated(expression, inHand, source) ?? []
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    return namesIn(
      list.filter((entry) => entry !== ''),
      source,
    )
  }
}

function evaluated(expression: CelExpression, { claims, cel }: ClaimsInHand, source: string): unknown {
  assertNoneKeptBack(claims, expression.reads)
  return evaluateFor(expression, cel, source)
}

/** @throws StatusError 401: an expression that fails on a token refuses it. */
export function evaluateFor(expression: CelExpression, value: CelValue, source: string): unknown {
  try {
    return expression.evaluate(value)
  } catch (cause) {
    const detail = `${quote(expression.text)}: ${cause instanceof Error ? cause.message : String(cause)}`
    throw refusal(`${source} fails on the claims of the token`, { detail, cause })
  }
}

/** @see k8s.io/apiserver `plugin/pkg/authenticator/token/oidc/oidc.go`, getUsername */
function assertEmail(claims: Claims, address: string): void {
  const verified = claimOf(claims, 'email_verified')
  if (verified !== undefined && verified !== true) throw refusal('the e-mail address in the token is not verified')
  if (!isPlainEmail(address)) throw refusal('the e-mail address in the token is not a plain one')
}

function stringClaim(claims: Claims, claim: string): string {
  const value = claimOf(claims, claim)
  if (typeof value === 'string') return value
  throw refusal(`the token has no usable ${quote(claim)} claim`)
}

function textOf(value: unknown, source: string): string {
  if (typeof value === 'string') return value
  throw unusable(source, 'is not text')
}

function namesIn(value: unknown, source: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > MAX_GROUPS) throw unusable(source, `has more than ${MAX_GROUPS} entries`)
  if (!list.every((entry) => typeof entry === 'string')) throw unusable(source, 'is not a list of text')
  return list.map((entry) => named(entry, source))
}

function named(value: string, source: string): string {
  const flaw = flawOfName(value)
  if (flaw !== undefined) throw unusable(source, flaw)
  return value
}

function unreserved(name: string, source: string): string {
  if (isReservedName(name)) throw unusable(source, 'makes a name that is reserved for Kubernetes')
  return name
}

function claimSource(claim: string): string {
  return `the ${quote(claim)} claim of the token`
}

function unusable(source: string, flaw: string): StatusError {
  return refusal(`${source} ${flaw}`)
}
