import { nearestName } from '../document/nearest-name.ts'
import { StatusError } from '../kube/status.ts'
import { askedRequest } from './asked-request.ts'
import { isClusterScoped } from './cluster-scoped.ts'
import { compileRules } from './compiled-rule.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { DISCOVERY } from './discovery-policy.ts'
import type { ServedResources } from './served-resources.ts'
import { WordsError, splitWords } from './kubectl-words.ts'
import { findResource, meantResource } from './kubernetes-resources.ts'
import { createPatternCompiler } from './pattern-compiler.ts'
import type { NonResourceRule, ResourceRule } from './policy-document.ts'
import type { Policy, PolicySet } from './policy-set.ts'
import { powersOf } from './powers.ts'
import { ALL, resourceTerm } from './request-terms.ts'
import { findShadows } from './shadows.ts'

/** What is looked for, with what it means. */
export const LINT_CODES = {
  'cluster-admin': 'A rule grants what amounts to the administration of the cluster.',
  'never-matches': 'A rule matches no request at all.',
  shadowed: 'Another rule already says what a rule says, or denies all that it allows.',
  'unknown-verb': 'Kubernetes has no such verb.',
  'unknown-resource': 'There is no such resource or API group.',
  expired: 'The policy is not in force any more.',
  'unclear-test': 'The request of a test is not understood.',
} as const

/** Something about a policy that is right in form and probably not meant so. */
export interface Finding {
  readonly code: keyof typeof LINT_CODES
  /** An `error` cannot be meant, a `warning` may be, a `note` is good to know. */
  readonly level: 'error' | 'warning' | 'note'
  /** The rule, `POLICY#N`, or the policy. */
  readonly subject: string
  /** One sentence without a full stop. */
  readonly message: string
  /** `FILE:LINE`. */
  readonly location: string
}

/** What policies are held against. */
export interface LintSurroundings {
  /** Milliseconds since the epoch. */
  readonly nowMs: number
  /** Names of all sockets; null when they are not known. */
  readonly sockets: readonly string[] | null
  /** What a cluster serves; null when it is not known. */
  readonly served: ServedResources | null
}

/** Looks at every rule and test of the documents, in their order. */
export function lintPolicies(set: PolicySet, surroundings: LintSurroundings): readonly Finding[] {
  const rules = compileRules(set.policies, createPatternCompiler()).filter(({ policy }) => policy.name !== DISCOVERY)
  const shadows = findShadows(rules)
  const denying = rules.filter(({ rule }) => rule.effect === 'deny')
  return [
    ...rules.flatMap((compiled) => {
      const { id, location } = compiled.rule
      const shadow = shadows.get(compiled)
      const found: Omit<Finding, 'subject' | 'location'>[] = [
        ...powerFindings(compiled, denying),
        ...whyNever(compiled, surroundings).map(
          (message) => ({ code: 'never-matches', level: 'error', message }) as const,
        ),
        ...(shadow === undefined ? [] : [{ code: 'shadowed', level: 'warning', message: shadow } as const]),
        ...unknownVerbs(compiled.rule),
        ...('resources' in compiled.rule ? unknownResources(compiled.rule, surroundings.served) : []),
      ]
      return found.map((finding) => ({ ...finding, subject: id, location }))
    }),
    ...set.policies.flatMap((policy) => [...expiry(policy, surroundings.nowMs), ...unclearTests(policy)]),
  ]
}

function powerFindings(
  compiled: CompiledRule,
  denying: readonly CompiledRule[],
): readonly Pick<Finding, 'code' | 'level' | 'message'>[] {
  const powers = powersOf(compiled, denying)
  if (powers.length === 0) return []
  const namespaces = 'resources' in compiled.rule ? compiled.rule.namespaces : undefined
  const confined = namespaces !== undefined && !compiled.patterns.namespace.test('kube-system')
  const message = confined
    ? `in its namespaces it grants what amounts to their administration: ${powers.join(', ')}`
    : `it grants what amounts to the administration of the cluster: ${powers.join(', ')}`
  return [{ code: 'cluster-admin', level: confined ? 'note' : 'warning', message }]
}

const SESSIONS: ReadonlySet<string> = new Set(['pods/exec', 'pods/attach', 'pods/portforward'])

function whyNever({ policy, rule, patterns }: CompiledRule, { sockets }: LintSurroundings): readonly string[] {
  const reasons: string[] = []
  if (sockets !== null && !sockets.some((socket) => patterns.socket.test(socket))) {
    reasons.push(`there is no socket ${(policy.sockets ?? []).join(' or ')}; the connector has ${sockets.join(', ')}`)
  }
  if (!('resources' in rule)) {
    if (rule.nonResourceURLs.every((url) => RESOURCE_PATH.test(url))) {
      reasons.push('below these paths are resources, which only a rule with `resources` matches')
    }
    return reasons
  }
  const { verbs, resources, namespaces, resourceNames, apiGroups } = rule
  if (
    resourceNames !== undefined &&
    !resources.some((name) => name.includes('/') || name === '*') &&
    // What is denied to some of a collection is denied to all of it.
    verbs.every((verb) => verb === 'create' || (verb === 'deletecollection' && rule.effect !== 'deny'))
  ) {
    reasons.push(`a ${verbs.join(' or ')} carries no name, and so no resourceNames match it`)
  }
  if (resources.every((name) => SESSIONS.has(name)) && !verbs.includes('create') && !verbs.includes('*')) {
    reasons.push('exec, attach and port-forward are decided as create, whatever the method')
  }
  if (namespaces !== undefined && resources.every((name) => isAlwaysClusterScoped(name, apiGroups))) {
    reasons.push('objects at the cluster scope are in no namespace, and so no namespaces match them')
  }
  if (
    isEmpty(resources.map(toTerm), patterns.resource) ||
    isEmpty(namespaces ?? anyOf(rule.except?.namespaces), patterns.namespace) ||
    isEmpty(resourceNames ?? anyOf(rule.except?.resourceNames), patterns.name) ||
    isEmpty(apiGroups ?? anyOf(rule.except?.apiGroups), patterns.group)
  ) {
    reasons.push('its exceptions leave nothing of it')
  }
  return reasons
}

const RESOURCE_PATH = /^\/(?:api|apis\/[^/*]+)\/[^/*]+\/./

/** Words that stand for an omitted list from which everything may have been excepted; undefined where not. */
function anyOf(exceptions: readonly string[] | undefined): readonly string[] | undefined {
  return exceptions?.includes('*') === true ? ['0', '', ALL] : undefined
}

/** Whether none of the entries, each taken to the letter, matches the pattern that was made of them and the exceptions. */
function isEmpty(entries: readonly string[] | undefined, pattern: RegExp): boolean {
  return entries !== undefined && !entries.some((entry) => entry.includes('{{') || pattern.test(entry))
}

function toTerm(written: string): string {
  const [resource = '', subresource = ''] = written.split('/')
  return resourceTerm(resource, subresource)
}

function isAlwaysClusterScoped(written: string, apiGroups: readonly string[] | undefined): boolean {
  const [resource = ''] = written.split('/')
  if (resource === 'namespaces' || resource === '*') return false
  const own = findResource(resource)
  if (apiGroups === undefined) return own !== null && !own.namespaced && own.resource === resource
  return apiGroups.every((group) => group !== '*' && isClusterScoped(group, resource))
}

const RESOURCE_VERBS: readonly string[] = [
  ...['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', '*'],
  ...['bind', 'escalate', 'impersonate', 'approve', 'sign', 'attest', 'use', 'unsafe-delete-ignore-read-errors'],
]
const PATH_VERBS: readonly string[] = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', '*']

function unknownVerbs(rule: ResourceRule | NonResourceRule): readonly Pick<Finding, 'code' | 'level' | 'message'>[] {
  const known = 'resources' in rule ? RESOURCE_VERBS : PATH_VERBS
  return rule.verbs
    .filter((verb) => !known.includes(verb) && !/^impersonate(?:-on)?:/.test(verb))
    .map((verb) => {
      const meant = nearestName(verb, known)
      const what = 'resources' in rule ? 'Kubernetes has no verb' : 'a path has no verb'
      return { code: 'unknown-verb', level: 'warning', message: `${what} ${verb}${didYouMean(meant)}` }
    })
}

function unknownResources(
  { resources, apiGroups, except }: ResourceRule,
  served: ServedResources | null,
): readonly Pick<Finding, 'code' | 'level' | 'message'>[] {
  const written = [...resources, ...(except?.resources ?? [])]
  const found = (level: Finding['level'], message: string) => ({ code: 'unknown-resource', level, message }) as const
  if (served === null) {
    return written.flatMap((name) => {
      const [resource = ''] = name.split('/')
      const own = findResource(resource)
      if (own === null || own.resource === resource) return []
      if (resource.includes('.')) {
        const meant = `resources: [${own.resource}] with apiGroups: [${own.apiGroup}]`
        return [found('warning', `${resource} holds an API group, did you mean ${meant}?`)]
      }
      const alias = (apiGroups ?? [own.apiGroup]).includes(own.apiGroup)
      return alias ? [found('warning', `${resource} is no plural, did you mean ${own.resource}?`)] : []
    })
  }
  const groups = [...(apiGroups ?? []), ...(except?.apiGroups ?? [])].filter(
    (group) => group !== '*' && group !== POSTERN_GROUP && !served.groups.has(group),
  )
  return [
    ...groups.map((group) =>
      found('error', `the cluster has no API group ${group}${didYouMean(nearestName(group, [...served.groups]))}`),
    ),
    ...written
      .filter((name) => !served.has(name, apiGroups) && !isAskedAbout(name, apiGroups))
      .map((name) => {
        const meant = meantResource(name) ?? nearestName(name, served.names)
        return found(
          'error',
          `the cluster has no ${name}${apiGroups === undefined ? '' : ' in these API groups'}${didYouMean(meant)}`,
        )
      }),
  ]
}

const POSTERN_GROUP = 'postern.dev'
/** Kinds of the gateway's own. */
const POSTERN_KINDS: ReadonlySet<string> = new Set(['sockets', 'sessions', 'recordings', 'logins'])
/** What no cluster serves, and rules are written about all the same, by API group. */
const ASKED_ABOUT: ReadonlyMap<string, readonly string[]> = new Map([
  ['', ['users', 'groups']],
  ['authentication.k8s.io', ['uids', 'userextras']],
  ['certificates.k8s.io', ['signers', 'certificatesigningrequests/nodeclient']],
  ['resource.k8s.io', ['resourceclaims/binding', 'resourceclaims/driver']],
])

/** Whether a rule may name it although the cluster does not serve it. */
function isAskedAbout(name: string, apiGroups: readonly string[] | undefined): boolean {
  const isOneOf = (group: string): boolean => apiGroups?.some((one) => one === '*' || one === group) ?? true
  const [resource = ''] = name.split('/')
  if (isOneOf(POSTERN_GROUP) && POSTERN_KINDS.has(resource)) return true
  return [...ASKED_ABOUT].some(([group, kinds]) => isOneOf(group) && (kinds.includes(name) || kinds.includes(resource)))
}

function didYouMean(meant: string | null): string {
  return meant === null ? '' : `, did you mean ${meant}?`
}

function expiry({ name, conditions, rules: [first] }: Policy, nowMs: number): readonly Finding[] {
  const end = conditions?.notAfter
  if (end === undefined || first === undefined || Date.parse(end) >= nowMs) return []
  return [
    {
      code: 'expired',
      level: 'warning',
      subject: name,
      message: `it is not in force since ${end}`,
      location: first.location,
    },
  ]
}

function unclearTests({ name, tests }: Policy): readonly Finding[] {
  return tests.flatMap(({ request, location }) => {
    try {
      askedRequest(splitWords(request))
      return []
    } catch (error) {
      if (!(error instanceof WordsError || error instanceof StatusError)) throw error
      return [{ code: 'unclear-test', level: 'error', subject: name, message: error.message, location } as const]
    }
  })
}
