import type { Subject } from '../kube/subject.ts'
import { resolves } from './compiled-rule.ts'
import type { CompiledRule, NamedTemplate } from './compiled-rule.ts'
import { DISCOVERY } from './discovery-policy.ts'
import type { ResourceRule } from './policy-document.ts'
import { isTemplate } from './templates.ts'

/**
 * What a subject may do on a socket, in the shape of `SubjectRulesReviewStatus`.
 *
 * @see k8s.io/api `authorization/v1/types.go` (v0.36)
 */
export interface FlatRules {
  readonly resourceRules: readonly {
    readonly verbs: readonly string[]
    readonly apiGroups: readonly string[]
    readonly resources: readonly string[]
    /** Absent means any. */
    readonly resourceNames?: readonly string[]
  }[]
  readonly nonResourceRules: readonly {
    readonly verbs: readonly string[]
    readonly nonResourceURLs: readonly string[]
  }[]
  /** True when a rule denies or depends on circumstances, which this shape cannot say. */
  readonly incomplete: boolean
  /** Why it is incomplete; empty otherwise. */
  readonly evaluationError: string
}

/** The rules that allow something in a namespace; those for objects at the cluster scope are in every namespace. */
export function flattenRules(rules: readonly CompiledRule[], subject: Subject, namespace: string): FlatRules {
  const allowing = rules.filter(
    ({ rule, patterns, templates }) =>
      rule.effect === 'allow' &&
      (patterns.namespace.test(namespace) || resolves(templates.namespace, subject, namespace)),
  )
  const reasons = [
    ...(rules.some(({ rule }) => rule.effect === 'deny') ? ['rules that deny are not listed'] : []),
    ...(rules.some(({ condition }) => condition !== null)
      ? ['some rules depend on the time, the source address or claims']
      : []),
    ...(allowing.some(({ rule }) => 'except' in rule && rule.except !== undefined)
      ? ['some rules have exceptions']
      : []),
    ...(allowing.some(
      ({ rule }) => 'resources' in rule && rule.resources.includes('*') && !rule.resources.includes('*/*'),
    )
      ? ['`*` grants neither exec nor what else has to be named']
      : []),
  ]
  return {
    resourceRules: allowing.flatMap((compiled) => {
      const { rule } = compiled
      if (!('resources' in rule)) return []
      const { verbs, apiGroups = ['*'], resources } = rule
      const resourceNames = entriesFor(rule.resourceNames, compiled.templates.name, subject)
      if (resourceNames?.length === 0) return []
      return [{ verbs, apiGroups, resources, ...(resourceNames === undefined ? {} : { resourceNames }) }]
    }),
    nonResourceRules: allowing.flatMap(({ rule }) => {
      if (!('nonResourceURLs' in rule)) return []
      const { verbs, nonResourceURLs } = rule
      return [{ verbs, nonResourceURLs }]
    }),
    incomplete: reasons.length > 0,
    evaluationError: reasons.join('; '),
  }
}

/** Whether any of the rules allows something beyond what is built in. */
export function allowsAnything(rules: readonly CompiledRule[]): boolean {
  return rules.some((rule) => rule.rule.effect === 'allow' && !isBuiltIn(rule))
}

export function isBuiltIn({ policy }: CompiledRule): boolean {
  return policy.name === DISCOVERY
}

/** How many namespaces a summary names. */
const MAX_NAMESPACES = 3

/** What the rules allow, in short: `read`, `write in default`, `exec in default, payments`. Denials are left out. */
export function summarizeRules(rules: readonly CompiledRule[], subject: Subject): readonly string[] {
  const resourceRules = rules.flatMap(({ rule, templates }): ResourceRule[] => {
    if (!('resources' in rule) || rule.effect === 'deny') return []
    const namespaces = entriesFor(rule.namespaces, templates.namespace, subject)
    return namespaces?.length === 0 ? [] : [{ ...rule, namespaces }]
  })
  return Object.entries(WORDS).flatMap(([word, covers]) => {
    const scopes = resourceRules.filter(covers).map((rule) => rule.namespaces)
    return scopes.length === 0 ? [] : [`${word}${inNamespaces(scopes)}`]
  })
}

/** A list as it is for one subject. */
function entriesFor(
  entries: readonly string[] | undefined,
  templates: readonly NamedTemplate[],
  subject: Subject,
): readonly string[] | undefined {
  return entries === undefined
    ? undefined
    : [
        ...entries.filter((entry) => !isTemplate(entry)),
        ...templates.flatMap((template) => template.patternsFor(subject)),
      ]
}

const WORDS: Readonly<Record<string, (rule: ResourceRule) => boolean>> = {
  read: (rule) => plain(rule) && includes(rule.verbs, ['get', 'list', 'watch', '*']),
  write: (rule) =>
    plain(rule) && includes(rule.verbs, ['create', 'update', 'patch', 'delete', 'deletecollection', '*']),
  exec: (rule) => opens(rule, 'exec'),
  attach: (rule) => opens(rule, 'attach'),
  'port-forward': (rule) => opens(rule, 'portforward'),
  proxy: ({ resources }) => resources.some((resource) => resource.endsWith('/proxy') || resource === '*/*'),
}

/** Names a resource, and not only subresources. */
function plain({ resources }: ResourceRule): boolean {
  return resources.some((resource) => !resource.includes('/'))
}

function opens({ verbs, resources }: ResourceRule, subresource: string): boolean {
  return (
    includes(verbs, ['create', '*']) &&
    includes(resources, [`pods/${subresource}`, `*/${subresource}`, 'pods/*', '*/*'])
  )
}

function includes(values: readonly string[], any: readonly string[]): boolean {
  return any.some((value) => values.includes(value))
}

function inNamespaces(scopes: readonly ResourceRule['namespaces'][]): string {
  if (scopes.includes(undefined)) return ''
  const namespaces = [...new Set(scopes.flatMap((scope) => scope ?? []))]
  const more = namespaces.length > MAX_NAMESPACES ? ', …' : ''
  return ` in ${namespaces.slice(0, MAX_NAMESPACES).join(', ')}${more}`
}
