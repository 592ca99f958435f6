import type { Subject } from '../kube/subject.ts'
import type { Condition } from './conditions.ts'
import { compileConditions } from './conditions.ts'
import { casbinLine } from './casbin.ts'
import type { CasbinFields } from './casbin.ts'
import { policyLine } from './casbin-model.ts'
import type { PolicyLine } from './casbin-model.ts'
import type { CompilePattern } from './pattern-compiler.ts'
import type { ResourceRule } from './policy-document.ts'
import type { Policy, Rule } from './policy-set.ts'
import type { RequestInfoTerms, RequestTerms } from './request-terms.ts'
import { compileTemplate, isTemplate } from './templates.ts'
import type { Template } from './templates.ts'

/** A rule with everything that is known of it before the first request. */
export interface CompiledRule {
  readonly policy: Policy
  readonly rule: Rule
  /** Place in the order of the policies, from 0. */
  readonly ordinal: number
  /** Place in the order in which Casbin reads: rules that deny, then rules that allow, the first of these last. */
  readonly rank: number
  readonly line: PolicyLine
  readonly casbinLine: CasbinFields
  /** What the line asks of each term. */
  readonly patterns: Readonly<Record<keyof RequestTerms, RegExp>>
  /** What its policy demands of the circumstances; null for nothing. */
  readonly condition: NamedCondition | null
  /** Namespaces and names that it has besides, each another for each subject. */
  readonly templates: { readonly namespace: readonly NamedTemplate[]; readonly name: readonly NamedTemplate[] }
}

export interface NamedCondition extends Condition {
  /** The same for policies that demand the same. Without spaces. */
  readonly id: string
}

export interface NamedTemplate extends Template {
  /** The same for the same entry with the same exceptions. Without spaces. */
  readonly id: string
  /** Patterns of names that it does not stand for. */
  readonly except: readonly string[]
}

/** Whether one of the templates stands for this name to a subject. */
export function resolves(templates: readonly NamedTemplate[], subject: Subject, name: string): boolean {
  return templates.some((template) => template.matches(subject, name))
}

/** Whether a rule matches what is asked, whoever asks it of which socket, and whether its conditions hold or not. */
export function matchesRequest(
  { patterns, templates }: CompiledRule,
  terms: RequestInfoTerms,
  subject: Subject,
): boolean {
  return (
    (patterns.namespace.test(terms.namespace) || resolves(templates.namespace, subject, terms.namespace)) &&
    (patterns.name.test(terms.name) || resolves(templates.name, subject, terms.name)) &&
    patterns.verb.test(terms.verb) &&
    patterns.group.test(terms.group) &&
    patterns.resource.test(terms.resource)
  )
}

/** In the order of the policies. */
export function compileRules(policies: readonly Policy[], compile: CompilePattern): readonly CompiledRule[] {
  const conditions = new Map<string, NamedCondition>()
  const known = new Map<string, NamedTemplate>()
  const total = policies.reduce((sum, policy) => sum + policy.rules.length, 0)
  const compiled: CompiledRule[] = []
  for (const policy of policies) {
    const condition = namedCondition(policy, conditions)
    for (const rule of policy.rules) {
      const templates = {
        namespace: namedTemplates('resources' in rule ? rule : undefined, 'namespaces', known),
        name: namedTemplates('resources' in rule ? rule : undefined, 'resourceNames', known),
      }
      const line = policyLine(policy, rule, {
        condition: condition?.id ?? '',
        namespaces: templates.namespace.map(({ id }) => `namespace-${id}`),
        names: templates.name.map(({ id }) => `name-${id}`),
      })
      const ordinal = compiled.length
      const rank = rule.effect === 'deny' ? ordinal : 2 * total - ordinal
      const patterns = patternsOf(line, compile)
      compiled.push({ policy, rule, ordinal, rank, line, casbinLine: casbinLine(line), patterns, condition, templates })
    }
  }
  return compiled
}

function patternsOf(line: PolicyLine, compile: CompilePattern): CompiledRule['patterns'] {
  return {
    subjects: compile(line.subjects),
    socket: compile(line.sockets),
    verb: compile(line.verbs),
    group: compile(line.groups),
    resource: compile(line.resources),
    namespace: compile(line.namespaces),
    name: compile(line.names),
    conditions: compile(line.conditions),
  }
}

function namedTemplates(
  rule: ResourceRule | undefined,
  list: 'namespaces' | 'resourceNames',
  known: Map<string, NamedTemplate>,
): readonly NamedTemplate[] {
  const except = rule?.except?.[list] ?? []
  return (rule?.[list] ?? []).filter(isTemplate).map((entry) => {
    const key = JSON.stringify([entry, except])
    const existing = known.get(key)
    if (existing !== undefined) return existing
    const template = { ...compileTemplate(entry, except), id: `template-${known.size + 1}`, except }
    known.set(key, template)
    return template
  })
}

function namedCondition({ conditions }: Policy, known: Map<string, NamedCondition>): NamedCondition | null {
  if (conditions === undefined) return null
  const key = JSON.stringify(conditions)
  const existing = known.get(key)
  if (existing !== undefined) return existing
  const condition = { ...compileConditions(conditions), id: `condition-${known.size + 1}` }
  known.set(key, condition)
  return condition
}
