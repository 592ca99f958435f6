import type { Subject } from '../kube/subject.ts'
import type { Attributes, Authorizer, Decision, NearestRule, Obligations } from './authorizer.ts'
import { CasbinDecider, casbinRequest } from './casbin.ts'
import { compileRules } from './compiled-rule.ts'
import type { CompiledRule, NamedCondition } from './compiled-rule.ts'
import type { Circumstances } from './conditions.ts'
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

/** An {@link Authorizer} over policy documents, with what else there is to ask of them. */
export interface PolicyAuthorizer extends Authorizer {
  /**
   * All that a decision depends on but the subject: requests of one subject with the same key get the same decision.
   */
  decisionKey(attributes: Attributes): string
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
    const { subject, requestInfo, socket } = attributes
    if (requestInfo.verb === '') return this.#noOpinion('no rule allows a request without a verb')
    if (requestInfo.namespace.length > MAX_NAME_LENGTH || requestInfo.name.length > MAX_NAME_LENGTH) {
      return this.#noOpinion('no rule allows a name longer than any in Kubernetes')
    }
    const { audiences, conditions } = this.#index.concerning(subject, socket)
    const asked = requestInfoTerms(requestInfo)
    const found = this.#index.candidates(audiences, asked)
    const terms: RequestTerms = {
      ...asked,
      subjects: this.#termsOf(subject),
      socket,
      conditions: conditionsThatHold(conditions, attributes) + templatesThatResolve(found, subject, asked),
    }
    const decisive = this.#decide(found, terms)
    if (decisive?.rule.effect === 'deny') return this.#opinion(decisive, {})
    if (decisive !== null) return this.#opinion(decisive, this.#obligations(found, terms))

    if (!this.mayReach(subject, socket)) return this.#noOpinion('no rule allows this user anything on this socket')
    return this.#noOpinion('no rule allows it', () => nearestRules(this.#documented(subject, socket), terms, subject))
  }

  decisionKey(attributes: Attributes): string {
    const { subject, socket, requestInfo } = attributes
    const { verb, group, resource, namespace, name } = requestInfoTerms(requestInfo)
    const conditions = conditionsThatHold(this.#index.concerning(subject, socket).conditions, attributes)
    const named = this.#namesMatter || name.length > MAX_NAME_LENGTH ? name : ''
    const lengths = `${socket.length} ${verb.length} ${group.length} ${resource.length} ${namespace.length} ${named.length}`
    return `${lengths} ${socket}${verb}${group}${resource}${namespace}${named}${conditions}`
  }

  mayReach(subject: Subject, socket: string): boolean {
    return [...this.#index.concerning(subject, socket).audiences].some((audience) => audience.allows)
  }

  summary(subject: Subject, socket: string): readonly string[] {
    return summarizeRules(this.#documented(subject, socket), subject)
  }

  rulesFor(subject: Subject, socket: string, namespace: string): FlatRules {
    return flattenRules(this.#concerning(subject, socket), subject, namespace)
  }

  /** The rule that decides, or null when none has an opinion. */
  #decide(rules: readonly CompiledRule[], terms: RequestTerms): CompiledRule | null {
    if (rules.length === 0) return null
    const id = this.#casbin.decide(
      rules.map((rule) => rule.casbinLine),
      casbinRequest(terms),
    )
    if (id === null) return null
    const rule = this.#rules.get(id)
    if (rule === undefined) throw new TypeError(`Casbin names the rule ${id}, which does not exist`)
    return rule
  }

  #obligations(found: readonly CompiledRule[], terms: RequestTerms): Obligations {
    const allowing = found.filter(({ rule }) => rule.effect === 'allow')
    if (!allowing.some(hasSession)) return {}
    const matching = allowing.filter((rule) => this.#decide([rule], terms) !== null)
    return strictest(matching.map(({ rule }) => ('session' in rule ? rule.session : undefined)))
  }

  #opinion({ rule }: CompiledRule, obligations: Obligations): Decision {
    return {
      effect: rule.effect,
      rule: rule.id,
      location: rule.location,
      policyRevision: this.revision,
      reason: `rule ${rule.id} ${rule.effect === 'allow' ? 'allows' : 'denies'} it`,
      nearest: [],
      obligations,
    }
  }

  /** `nearest` is worked out when it is first read. */
  #noOpinion(reason: string, findNearest: () => readonly NearestRule[] = () => []): Decision {
    let nearest: readonly NearestRule[] | undefined
    return {
      effect: 'no-opinion',
      rule: '',
      location: '',
      policyRevision: this.revision,
      reason,
      get nearest() {
        return (nearest ??= findNearest())
      },
      obligations: {},
    }
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

function hasSession({ rule }: CompiledRule): boolean {
  return 'session' in rule && rule.session !== undefined
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

/** The identifiers of the conditions that hold, each between spaces; empty when none does or none is asked for. */
function conditionsThatHold(conditions: readonly NamedCondition[], circumstances: Circumstances): string {
  let holding = ''
  for (const { id, holds } of conditions) if (holds(circumstances)) holding += ` ${id} `
  return holding
}
