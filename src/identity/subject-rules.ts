import type { Subject } from '../kube/subject.ts'
import { type CelExpression, type CelValue, compileCel, toCelValue } from './cel.ts'
import { evaluateFor, subjectMapper } from './claims-to-subject.ts'
import { ExpressionTimeout, ExpressionTimer } from './expression-timer.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { assertNoneKeptBack } from './kept-back.ts'
import { refusal } from './refusal.ts'
import type { Claims } from './unverified-token.ts'

type Rules = Pick<IssuerOptions, 'claimMappings' | 'claimValidationRules' | 'userValidationRules'>

interface Condition {
  readonly expression: CelExpression
  /** What a person is told when it is not true. */
  readonly message: string
}

/**
 * Prepares an issuer's mappings and rules. The function gives the subject that verified claims stand for, and throws
 * StatusError 401 when they stand for none, a rule does not hold, or the expressions take too long.
 *
 * @throws Error with a phrase for an expression that is not sound; the document's schema finds it first.
 */
export function subjectRules(options: Rules): (claims: Claims) => Subject {
  const mapped = subjectMapper(options.claimMappings)
  const claimConditions = options.claimValidationRules.flatMap((rule) =>
    'expression' in rule ? [condition(rule.expression, 'claims', rule.message)] : [],
  )
  const userConditions = (options.userValidationRules ?? []).map(({ expression, message }) =>
    condition(expression, 'user', message),
  )
  const { username, extra = [] } = options.claimMappings
  const others = [
    ...options.claimValidationRules.flatMap((rule) => ('expression' in rule ? [rule.expression] : [])),
    ...extra.flatMap((entry) => ('valueExpression' in entry ? [entry.valueExpression] : [])),
  ]
  if ('expression' in username && trustsUnverifiedEmail(username.expression, others)) {
    throw new Error('the username is read from claims.email, and nothing reads claims.email_verified')
  }
  if (!hasExpressions(options)) return (claims) => mapped({ claims, cel: null })

  const timer = new ExpressionTimer()
  const decide = (claims: Claims): Subject => {
    const cel = celClaims(claims)
    const subject = mapped({ claims, cel })
    for (const { expression, message } of claimConditions) {
      assertNoneKeptBack(claims, expression.reads)
      hold(expression, cel, message)
    }
    for (const { expression, message } of userConditions) hold(expression, userOf(subject), message)
    return subject
  }
  return (claims) => {
    try {
      return timer.run(() => decide(claims))
    } catch (error) {
      if (!(error instanceof ExpressionTimeout)) throw error
      throw refusal('the rules of the connector take too long on the claims of the token', { cause: error })
    }
  }
}

/**
 * Whether a username is read from `claims.email` while nothing reads `claims.email_verified`.
 *
 * @param others expressions that are evaluated for every token: claim rules and extra mappings. Unsound ones count for nothing.
 * @see k8s.io/apiserver `pkg/apis/apiserver/validation/validation.go`, validateClaimMappings
 */
export function trustsUnverifiedEmail(username: string, others: readonly string[]): boolean {
  const reads = readsOf(username)
  if (reads?.has('email') === false) return false
  return ![username, ...others].some((text) => readsOf(text)?.has('email_verified') === true)
}

/** Null for any claim. */
function readsOf(expression: string): ReadonlySet<string> | null {
  try {
    return compileCel(expression, 'claims').reads
  } catch {
    return new Set()
  }
}

/** Whether anything of it is written in the Common Expression Language. */
function hasExpressions({ claimMappings, claimValidationRules, userValidationRules = [] }: Rules): boolean {
  const { username, groups, uid, extra = [] } = claimMappings
  return (
    [username, groups, uid, ...claimValidationRules].some((entry) => entry !== undefined && 'expression' in entry) ||
    extra.some((entry) => 'valueExpression' in entry) ||
    userValidationRules.length > 0
  )
}

function condition(text: string, variable: 'claims' | 'user', message: string | undefined): Condition {
  const expression = compileCel(text, variable)
  if (expression.type !== 'bool') throw new Error('does not give true or false')
  return { expression, message: message ?? `a rule on the ${variable === 'user' ? 'subject' : 'claims'} does not hold` }
}

function hold(expression: CelExpression, value: CelValue, message: string): void {
  if (evaluateFor(expression, value, 'a rule') === true) return
  throw refusal(`the token is refused: ${message}`, { detail: `not true: ${expression.text}` })
}

function celClaims(claims: Claims): CelValue {
  try {
    return toCelValue(claims)
  } catch (cause) {
    throw refusal('the claims of the token nest too deep', { cause })
  }
}

function userOf({ username, uid, groups, extra }: Subject): CelValue {
  return new Map<string, CelValue>([
    ['username', username],
    ['uid', uid],
    ['groups', groups],
    ['extra', new Map(Object.entries(extra))],
  ])
}
