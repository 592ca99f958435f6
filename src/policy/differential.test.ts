import fc from 'fast-check'
import { newEnforcer, newModelFromString } from 'casbin'
import { expect, test } from 'vitest'
import { attributes } from '../../test/support/policy-requests.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import type { Subject } from '../kube/subject.ts'
import type { Attributes } from './authorizer.ts'
import { CasbinDecider, casbinRequest } from './casbin.ts'
import { CASBIN_MODEL } from './casbin-model.ts'
import { compileRules } from './compiled-rule.ts'
import { cached } from './decision-cache.ts'
import { createPatternCompiler } from './pattern-compiler.ts'
import { createAuthorizer } from './policy-authorizer.ts'
import type { NonResourceRule, ResourceRule } from './policy-document.ts'
import type { Policy, PolicySet } from './policy-set.ts'
import { requestInfoTerms, subjectTerms } from './request-terms.ts'

/**
 * Four ways to one decision: the authorizer, with and without its cache; Casbin over all rules, in our form and as the
 * library comes; and the semantics of docs/policy.md written down as plainly as possible.
 */

type Effect = 'allow' | 'deny' | 'no-opinion'

function reference(policies: readonly Policy[], { subject, requestInfo, socket, sourceIP }: Attributes): Effect {
  if (requestInfo.verb === '') return 'no-opinion'
  const concerning = policies.filter(
    ({ subjects, sockets, conditions }) =>
      (subjects.users.includes(subject.username) ||
        subjects.groups.some((group) => group === 'system:authenticated' || subject.groups.includes(group))) &&
      (sockets?.some((pattern) => globs(pattern, socket)) ?? true) &&
      (conditions === undefined || sourceIP.startsWith('10.')),
  )
  const matching = concerning.flatMap(({ rules }) => rules.filter((rule) => matches(rule, requestInfo)))
  if (matching.some(({ effect }) => effect === 'deny')) return 'deny'
  return matching.length > 0 ? 'allow' : 'no-opinion'
}

function matches(rule: ResourceRule | NonResourceRule, info: RequestInfo): boolean {
  const deny = rule.effect === 'deny'
  const byName = ['bind', 'escalate', 'impersonate'].includes(info.verb)
  if (!rule.verbs.some((verb) => verb === info.verb || (verb === '*' && (deny || !byName)))) return false
  if (!('resources' in rule)) {
    return !info.isResourceRequest && rule.nonResourceURLs.some((url) => pathMatches(url, info.path))
  }
  const collection = ['list', 'watch', 'deletecollection'].includes(info.verb)
  const clusterScoped = info.apiGroup === '' && ['nodes', 'namespaces'].includes(info.resource)
  const everywhere = deny && collection && info.namespace === '' && !clusterScoped
  return (
    info.isResourceRequest &&
    (rule.apiGroups?.some((group) => group === '*' || group === info.apiGroup) ?? true) &&
    rule.resources.some((resource) => resourceMatches(resource, info, deny)) &&
    (rule.namespaces?.some((pattern) => everywhere || globs(pattern, info.namespace)) ?? true) &&
    (rule.resourceNames?.some((pattern) => (deny && collection && info.name === '') || globs(pattern, info.name)) ??
      true)
  )
}

function resourceMatches(written: string, { resource, subresource }: RequestInfo, deny: boolean): boolean {
  if (resource === '') return false
  const dangerous =
    subresource === 'proxy' ||
    (resource === 'pods' && ['exec', 'attach', 'portforward', 'ephemeralcontainers'].includes(subresource)) ||
    (resource === 'serviceaccounts' && subresource === 'token')
  if (written === '*') return deny || !dangerous
  const [left, right] = written.split('/')
  if (left !== '*' && left !== resource) return false
  return right === undefined ? subresource === '' : subresource !== '' && (right === '*' || right === subresource)
}

function pathMatches(url: string, path: string): boolean {
  if (!path.startsWith('/')) return false
  return url.endsWith('*') ? path.startsWith(url.slice(0, -1)) : url === path
}

function globs(pattern: string, text: string): boolean {
  if (text === '') return false
  const [first = '', ...parts] = pattern.split('*')
  const last = parts.pop()
  if (last === undefined) return pattern === text
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false
  let at = first.length
  for (const part of parts) {
    at = text.indexOf(part, at)
    if (at < 0) return false
    at += part.length
  }
  return at <= text.length - last.length
}

const VERBS = ['get', 'list', 'watch', 'create', 'delete', 'deletecollection', 'escalate', 'head']
const GROUPS = ['', 'apps', 'x.io']
const RESOURCES = ['pods', 'secrets', 'nodes', 'namespaces', 'serviceaccounts']
const SUBRESOURCES = ['log', 'exec', 'proxy', 'token', 'status']
const NAMESPACES = ['default', 'dev-a', 'dev-b', 'prod']
const NAMES = ['web', 'web-1', 'db', 'db*', 'a$$b']
const PATHS = ['/api', '/api/v1', '/metrics', '/metrics/x', '/logs/', '/']
const SOCKETS = ['production', 'staging']
const PEOPLE = ['ana', 'omar', 'a,b', 'x group:dev', 'dev']
const TEAMS = ['dev', 'ops', 'user:ana', 'x user:ana y']

const of = (words: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...words)
const some = (words: readonly string[]): fc.Arbitrary<readonly string[]> =>
  fc.uniqueArray(of(words), { minLength: 1, maxLength: 4 })
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined, freq: 2 })
const effect = fc.constantFrom('allow' as const, 'allow' as const, 'deny' as const)

const resourceRule: fc.Arbitrary<ResourceRule> = fc.record({
  effect,
  verbs: some([...VERBS, '*', '*', '*', '*']),
  apiGroups: maybe(some([...GROUPS, '*'])),
  resources: some([
    ...RESOURCES,
    ...RESOURCES.flatMap((resource) => [`${resource}/*`, ...SUBRESOURCES.map((sub) => `${resource}/${sub}`)]),
    ...RESOURCES.flatMap(() => ['*', '*', '*/*', '*/proxy', '*/exec', '*/log']),
  ]),
  namespaces: maybe(some([...NAMESPACES, 'dev-*', '*', '*o*', 'd*t'])),
  resourceNames: maybe(some(['web', 'db', 'web*', '*', '*-*', 'a$$b'])),
})
const nonResourceRule: fc.Arbitrary<NonResourceRule> = fc.record({
  effect,
  verbs: some([...VERBS, '*']),
  nonResourceURLs: some([...PATHS, '*', '/*', '/api/*', '/met*', '/metrics/*']),
})

const policySet: fc.Arbitrary<PolicySet> = fc
  .array(
    fc.record({
      sockets: maybe(some([...SOCKETS, 'prod*', '*'])),
      subjects: fc.record({
        users: some(PEOPLE),
        groups: some([...TEAMS, ...Array<string>(4).fill('system:authenticated')]),
      }),
      conditions: maybe(fc.constant({ sourceIPs: ['10.0.0.0/8'] })),
      rules: fc.array(fc.oneof({ weight: 4, arbitrary: resourceRule }, nonResourceRule), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
    { maxLength: 5 },
  )
  .map((bodies) => ({
    revision: 'sha256:0',
    policies: bodies.map((body, index) => ({
      ...body,
      name: `p${index}`,
      tests: [],
      rules: body.rules.map((rule, number) => ({ ...rule, id: `p${index}#${number + 1}`, location: 'p.yaml:1' })),
    })),
  }))

const subject: fc.Arbitrary<Subject> = fc.record({
  username: of(PEOPLE),
  uid: fc.constant(''),
  groups: fc.subarray(TEAMS),
  extra: fc.constant({}),
})

const requestInfo: fc.Arbitrary<RequestInfo> = fc
  .record({
    isResourceRequest: fc.constantFrom(true, true, true, false),
    verb: fc.oneof({ weight: 9, arbitrary: of(VERBS) }, fc.constantFrom('', '*')),
    apiGroup: of(GROUPS),
    resource: fc.oneof({ weight: 9, arbitrary: of(RESOURCES) }, fc.constantFrom('', '*')),
    subresource: fc.oneof({ weight: 2, arbitrary: fc.constant('') }, of([...SUBRESOURCES, '*'])),
    namespace: fc.oneof({ weight: 3, arbitrary: of(NAMESPACES) }, fc.constantFrom('', '*')),
    name: fc.oneof({ weight: 3, arbitrary: of(NAMES) }, fc.constantFrom('', '*')),
    path: fc.oneof({ weight: 3, arbitrary: of(PATHS) }, fc.constantFrom('', 'pods', '/*', '*')),
  })
  .map((info) => ({
    ...info,
    apiPrefix: '',
    apiVersion: '',
    parts: [],
    fieldSelector: '',
    labelSelector: '',
  }))

const requests: fc.Arbitrary<readonly Attributes[]> = fc.array(
  fc
    .tuple(subject, requestInfo, of([...SOCKETS, '']), fc.constantFrom('10.0.0.1', '11.0.0.1'))
    .map(([who, info, socket, sourceIP]) => attributes(who, info, { socket, sourceIP })),
  { minLength: 20, maxLength: 20 },
)

/** Casbin over every rule, as {@link CasbinDecider} and as the library comes. */
async function wholeCasbin(policies: readonly Policy[]) {
  const rules = compileRules(policies, createPatternCompiler()).toSorted((a, b) => a.rank - b.rank)
  const lines = rules.map((rule) => rule.casbinLine)
  const decider = new CasbinDecider(createPatternCompiler())
  const stock = await newEnforcer(newModelFromString(CASBIN_MODEL))
  await stock.addPolicies(lines)
  return (given: Attributes): { rule: string | null; stock: boolean } => {
    const holding = given.sourceIP.startsWith('10.')
      ? rules.map((rule) => ` ${rule.condition?.id ?? ''} `).join('')
      : ''
    const terms = casbinRequest({
      ...requestInfoTerms(given.requestInfo),
      subjects: ` ${subjectTerms(given.subject).join(' ')} `,
      socket: given.socket,
      conditions: holding,
    })
    return { rule: decider.decide(lines, terms), stock: stock.enforceSync(...terms) }
  }
}

test('index, whole Casbin, stock Casbin, cache and reference decide the same', async () => {
  const effects = { allow: 0, deny: 0, 'no-opinion': 0 }
  await fc.assert(
    fc.asyncProperty(policySet, requests, async (set, asked) => {
      const authorizer = createAuthorizer(set)
      const remembering = cached(authorizer)
      const whole = await wholeCasbin(set.policies)
      for (const given of asked) {
        const expected = reference(set.policies, given)
        const decision = authorizer.authorize(given)
        effects[expected] += 1
        expect([
          decision.effect,
          whole(given),
          remembering.authorize(given).effect,
          remembering.authorize(given).nearest,
        ]).toEqual([
          expected,
          { rule: expected === 'no-opinion' ? null : decision.rule, stock: expected === 'allow' },
          expected,
          decision.nearest,
        ])
      }
    }),
    { numRuns: 100 },
  )
  for (const count of Object.values(effects)) expect(count).toBeGreaterThan(100)
})
