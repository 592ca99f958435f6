import type { RequestInfo } from '../kube/request-info.ts'
import type { Subject } from '../kube/subject.ts'
import type { Attributes, Authorizer, Decision, NearestRule, Obligations } from './authorizer.ts'
import { CasbinDecider, casbinRequest } from './casbin.ts'
import { compileRules } from './compiled-rule.ts'
import type { CompiledRule, NamedCondition } from './compiled-rule.ts'
import { nearestRules } from './nearest-rules.ts'
import { strictest } from './obligations.ts'
import { createPatternCompiler } from './pattern-compiler.ts'
import type { PolicySet } from './policy-set.ts'
import { flattenRules, isBuiltIn, summarizeRules } from './reach.ts'
import type { FlatRules } from './reach.ts'
import { requestInfoTerms, subjectTerms } from './request-terms.ts'
import type { RequestTerms } from './request-terms.ts'
import { RuleIndex } from './rule-index.ts'

/**
 * The longest name or namespace that a rule allows, in UTF-16 units. Kubernetes' own end at 253 and a few more in
 * `services/https:NAME:PORT/proxy`. Bounds what it costs to match a pattern.
 */
export const MAX_NAME_LENGTH = 512

/** A decision, and what it hangs on. */
interface Decided {
  /** Without what is nearest. */
  readonly decision: Decision
  /** What the rules demand that match otherwise, each once. The decision is another one only where another of these holds. */
  readonly conditions: readonly NamedCondition[]
}

/** An {@link Authorizer} over policy documents, with what else there is to ask of them. */
export interface PolicyAuthorizer extends Authorizer {
  /** What {@link Authorizer.authorize} is made of. */
  decide(attributes: Attributes): Decided
  /**
   * All that a decision hangs on but subject and conditions: requests of one subject with the same key have the same
   * conditions, and the same decision while the same of these hold. What is nearest may differ.
   */
  decisionKey(attributes: Attributes): string
  /** What comes nearest to allowing a request that no rule allows; costs the more rules are about the subject, within bounds. */
  nearest(attributes: Attributes): readonly NearestRule[]
  /** Whether a rule allows the subject anything on a socket beyond what is built in. */
  mayReach(subject: Subject, socket: string): boolean
  /** What those rules allow, in short: `read`, `write in default`, `exec in default`. Denials are left out. */
  summary(subject: Subject, socket: string): readonly string[]
  /** What a SelfSubjectRulesReview for a namespace answers, the built-in rules included. */
  rulesFor(subject: Subject, socket: string, namespace: string): FlatRules
}

/** An authorizer of one revision. Casbin decides, over the rules that an index of the same rules finds. */
export function createAuthorizer(policySet: PolicySet): PolicyAuthorizer {
  return new CasbinAuthorizer(policySet)
}

class CasbinAuthorizer implements PolicyAuthorizer {
  readonly revision: string
  readonly #casbin: CasbinDecider
  readonly #index: RuleIndex
  readonly #rules: ReadonlyMap<string, CompiledRule>
  readonly #namesMatter: boolean
  readonly #subjectTerms = new WeakMap<Subject, string>()

  constructor({ revision, policies }: PolicySet) {
    this.revision = revision
    const compile = createPatternCompiler()
    const rules = compileRules(policies, compile)
    this.#casbin = new CasbinDecider(compile)
    this.#rules = new Map(rules.map((rule) => [rule.rule.id, rule]))
    this.#index = new RuleIndex(rules)
    this.#namesMatter = rules.some(
      ({ rule }) => 'resources' in rule && (rule.resourceNames ?? rule.except?.resourceNames) !== undefined,
    )
  }

  authorize(attributes: Attributes): Decision {
    return withNearest(this.decide(attributes).decision, this, attributes)
  }

  decide(attributes: Attributes): Decided {
    const { subject, requestInfo, socket } = attributes
    if (requestInfo.verb === '') return this.#refuse('no rule allows a request without a verb')
    if (isTooLong(requestInfo)) return this.#refuse('no rule allows a name longer than any in Kubernetes')
    const { audiences, allows } = this.#index.concerning(subject, socket)
    const asked = requestInfoTerms(requestInfo)
    const candidates = this.#index.candidates(audiences, asked, subject)
    const conditions = conditionsOf(candidates)
    const holding = new Set(conditions.filter((condition) => condition.holds(attributes)))
    const found = candidates.filter(({ condition }) => condition === null || holding.has(condition))
    const decisive = this.#decisive(found, {
      ...asked,
      subjects: this.#termsOf(subject),
      socket,
      conditions: namesOf([...holding]) + templatesThatResolve(found, subject, asked),
    })
    if (decisive !== null) return { decision: this.#opinion(decisive, found), conditions }
    return this.#refuse(allows ? 'no rule allows it' : 'no rule allows this user anything on this socket', conditions)
  }

  dependsOnTime(subject: Subject, socket: string): boolean {
    return this.#index.concerning(subject, socket).dependsOnTime
  }

  decisionKey({ socket, requestInfo }: Attributes): string {
    const { verb, group, resource, namespace, name } = requestInfoTerms(requestInfo)
    const named = this.#namesMatter || name.length > MAX_NAME_LENGTH ? name : ''
    const lengths = `${socket.length} ${verb.length} ${group.length} ${resource.length} ${namespace.length} ${named.length}`
    return `${lengths} ${socket}${verb}${group}${resource}${namespace}${named}`
  }

  nearest(attributes: Attributes): readonly NearestRule[] {
    const { subject, requestInfo, socket } = attributes
    if (requestInfo.verb === '' || isTooLong(requestInfo)) return []
    const asked = requestInfoTerms(requestInfo)
    const { audiences } = this.#index.concerning(subject, socket)
    return nearestRules(this.#index.neighbours(audiences, asked), asked, attributes)
  }

  mayReach(subject: Subject, socket: string): boolean {
    return this.#index.concerning(subject, socket).allows
  }

  summary(subject: Subject, socket: string): readonly string[] {
    return summarizeRules(this.#documented(subject, socket), subject)
  }

  rulesFor(subject: Subject, socket: string, namespace: string): FlatRules {
    return flattenRules(this.#concerning(subject, socket), subject, namespace)
  }

  /** The rule that decides, or null when none has an opinion. */
  #decisive(found: readonly CompiledRule[], terms: RequestTerms): CompiledRule | null {
    if (found.length === 0) return null
    const id = this.#casbin.decide(
      outermost(found).map((rule) => rule.casbinLine),
      casbinRequest(terms),
    )
    if (id === null) return null
    const rule = this.#rules.get(id)
    if (rule === undefined) throw new TypeError(`Casbin names the rule ${id}, which does not exist`)
    return rule
  }

  /** `matching` are all rules that match, whose demands add up. */
  #opinion({ rule }: CompiledRule, matching: readonly CompiledRule[]): Decision {
    return {
      effect: rule.effect,
      rule: rule.id,
      location: rule.location,
      policyRevision: this.revision,
      reason: `rule ${rule.id} ${rule.effect === 'allow' ? 'allows' : 'denies'} it`,
      nearest: [],
      obligations: rule.effect === 'allow' ? obligationsOf(matching) : {},
    }
  }

  #refuse(reason: string, conditions: readonly NamedCondition[] = []): Decided {
    const opinion = { effect: 'no-opinion', rule: '', location: '', reason, nearest: [], obligations: {} } as const
    return { decision: { ...opinion, policyRevision: this.revision }, conditions }
  }

  #concerning(subject: Subject, socket: string): readonly CompiledRule[] {
    const rules = [...this.#index.concerning(subject, socket).audiences].flatMap((audience) => audience.rules)
    return rules.toSorted((a, b) => a.ordinal - b.ordinal)
  }

  #documented(subject: Subject, socket: string): readonly CompiledRule[] {
    return this.#concerning(subject, socket).filter((rule) => !isBuiltIn(rule))
  }

  #termsOf(subject: Subject): string {
    let terms = this.#subjectTerms.get(subject)
    if (terms === undefined) this.#subjectTerms.set(subject, (terms = ` ${subjectTerms(subject).join(' ')} `))
    return terms
  }
}

/** A decision with what is nearest, which is worked out when it is first read. */
export function withNearest(
  decision: Decision,
  authorizer: Pick<PolicyAuthorizer, 'nearest'>,
  attributes: Attributes,
): Decision {
  if (decision.effect !== 'no-opinion') return decision
  let nearest: readonly NearestRule[] | undefined
  return {
    ...decision,
    get nearest() {
      return (nearest ??= authorizer.nearest(attributes))
    },
  }
}

function isTooLong({ namespace, name }: RequestInfo): boolean {
  return namespace.length > MAX_NAME_LENGTH || name.length > MAX_NAME_LENGTH
}

/** What all of them demand, each once. */
function conditionsOf(rules: readonly CompiledRule[]): readonly NamedCondition[] {
  return [...new Set(rules.map(({ condition }) => condition).filter((condition) => condition !== null))]
}

/** How many of the rules that match Casbin is shown. */
const MAX_LINES = 16

/** Of more rules in order of rank those in the middle cannot decide: the first that denies does, or else the last. */
function outermost(rules: readonly CompiledRule[]): readonly CompiledRule[] {
  if (rules.length <= MAX_LINES) return rules
  return [...rules.slice(0, MAX_LINES / 2), ...rules.slice(-MAX_LINES / 2)]
}

function obligationsOf(matching: readonly CompiledRule[]): Obligations {
  const demands = matching.map(({ rule }) => ('session' in rule ? rule.session : undefined))
  return demands.every((demand) => demand === undefined) ? {} : strictest(demands)
}

/** Names of the templates of these rules that stand for the namespace or the name, each between spaces. */
export function templatesThatResolve(
  rules: readonly CompiledRule[],
  subject: Subject,
  { namespace, name }: Pick<RequestTerms, 'namespace' | 'name'>,
): string {
  let resolving = ''
  for (const { templates } of rules) {
    for (const { id, matches } of templates.namespace) if (matches(subject, namespace)) resolving += ` namespace-${id} `
    for (const { id, matches } of templates.name) if (matches(subject, name)) resolving += ` name-${id} `
  }
  return resolving
}

/** The identifiers of conditions, each between spaces. */
function namesOf(conditions: readonly NamedCondition[]): string {
  let names = ''
  for (const { id } of conditions) names += ` ${id} `
  return names
}
