import { isDeepStrictEqual } from 'node:util'
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
import { createAuthorizer, templatesThatResolve } from './policy-authorizer.ts'
import type { NonResourceRule, ResourceRule } from './policy-document.ts'
import type { Policy, PolicySet } from './policy-set.ts'
import { requestInfoTerms, subjectTerms } from './request-terms.ts'
import { createRuleMatcher } from './rule-matcher.ts'

/**
 * Five ways to one decision: the authorizer, with and without its cache; Casbin over all rules, in our form and as the
 * library comes; the rules one by one; and the semantics of docs/policy.md written down as plainly as possible.
 */

type Effect = 'allow' | 'deny' | 'no-opinion'

function reference(policies: readonly Policy[], { subject, requestInfo, socket, sourceIP }: Attributes): Effect {
  if (requestInfo.verb === '') return 'no-opinion'
  const concerning = policies.filter(
    ({ subjects, sockets, conditions }) =>
      (subjects.users.includes(subject.username) ||
        subjects.groups.some((group) => group === 'system:authenticated' || subject.groups.includes(group))) &&
      (sockets?.some((pattern) => globs(pattern, socket)) ?? true) &&
      (conditions?.sourceIPs === undefined || sourceIP.startsWith('10.')) &&
      (conditions?.extra === undefined || (subject.extra['team'] ?? []).includes('red')),
  )
  const matching = concerning.flatMap(({ rules }) => rules.filter((rule) => matches(rule, requestInfo, subject)))
  if (matching.some(({ effect }) => effect === 'deny')) return 'deny'
  return matching.length > 0 ? 'allow' : 'no-opinion'
}

function matches(rule: ResourceRule | NonResourceRule, info: RequestInfo, subject: Subject): boolean {
  const deny = rule.effect === 'deny'
  const byName = ['approve', 'attest', 'bind', 'escalate', 'impersonate', 'sign'].includes(info.verb)
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
    (rule.namespaces?.some((pattern) => everywhere || globsFor(pattern, info.namespace, subject)) ?? true) &&
    (rule.resourceNames?.some(
      (pattern) => (deny && collection && info.name === '') || globsFor(pattern, info.name, subject),
    ) ??
      true) &&
    !isExcepted(rule, info, collection && info.namespace === '' && !clusterScoped)
  )
}

/** A pattern or a template: the value of a subject in the place of the braces, unless it is empty or has a wildcard. */
function globsFor(entry: string, text: string, { username, groups, extra }: Subject): boolean {
  const [before = '', rest] = entry.split('{{ subject.')
  if (rest === undefined) return globs(entry, text)
  const [part = '', after = ''] = rest.split(' }}')
  const values = part === 'username' ? [username] : part === 'groups' ? groups : (extra['team'] ?? [])
  return values.some((value) => !/^$|[*/\s%]/.test(value) && globs(`${before}${value}${after}`, text))
}

function isExcepted({ effect: says, except = {} }: ResourceRule, info: RequestInfo, everywhere: boolean): boolean {
  const allow = says === 'allow'
  const nameless = info.name === ''
  return [
    except.apiGroups?.some((group) => group === '*' || group === info.apiGroup),
    except.resources?.some(
      (resource) =>
        resourceMatches(resource, info, allow) ||
        (allow && info.resource !== '' && (resource === '*' || resource === info.resource)),
    ),
    except.namespaces?.some((pattern) => (allow && everywhere) || globs(pattern, info.namespace)),
    except.resourceNames?.some((pattern) => (allow && nameless) || globs(pattern, info.name)),
  ].includes(true)
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

const TEMPLATES = [
  '{{ subject.username }}',
  'dev-{{ subject.extra.team }}',
  '{{ subject.groups }}*',
  '**{{ subject.extra.team }}',
]

/** The ways in which stars stand alone, together and around a word; some of these no document may hold. */
const globsIn = (word: string): readonly string[] => ['*', '**', `${word}*`, `*${word}`, `*${word}*`, `${word}**`]

const CLAIMS = ['a', 'b', '', '*', 'default', '/', 'red', 'x*']

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
  namespaces: maybe(some([...NAMESPACES, 'dev-*', 'd*t', ...globsIn('o'), ...TEMPLATES])),
  resourceNames: maybe(some(['web', 'db', 'web*', '*-*', 'a$$b', ...globsIn('b'), ...TEMPLATES])),
  except: fc.option(
    fc.record({
      apiGroups: maybe(some([...GROUPS, '*'])),
      resources: maybe(some([...RESOURCES, '*', '*/*', '*/log', 'pods/exec', 'pods/*'])),
      namespaces: maybe(some([...NAMESPACES, 'dev-*', ...globsIn('d')])),
      resourceNames: maybe(some(['web', 'db*', ...globsIn('w')])),
    }),
    { nil: undefined, freq: 2 },
  ),
})
const nonResourceRule: fc.Arbitrary<NonResourceRule> = fc.record({
  effect,
  verbs: some([...VERBS, '*']),
  nonResourceURLs: some([...PATHS, '*', '/*', '/api/*', '/met*', '/metrics/*']),
})

const policySet: fc.Arbitrary<PolicySet> = fc
  .array(
    fc.record({
      sockets: maybe(some([...SOCKETS, 'prod*', ...globsIn('g')])),
      subjects: fc.record({
        users: some(PEOPLE),
        groups: some([...TEAMS, ...Array<string>(4).fill('system:authenticated')]),
      }),
      conditions: fc.constantFrom(
        ...[undefined, undefined, { sourceIPs: ['10.0.0.0/8'] }, { extra: { team: ['red'] } }],
      ),
      rules: fc.array(fc.oneof({ weight: 4, arbitrary: resourceRule }, nonResourceRule), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
    { maxLength: 5 },
  )
  .map((bodies) => ({
    revision: 'sha256:0',
    files: [],
    policies: bodies.map((body, index) => ({
      ...body,
      name: `p${index}`,
      tests: [],
      rules: body.rules.map((rule, number) => ({
        ...withoutTemplates(rule),
        id: `p${index}#${number + 1}`,
        location: 'p.yaml:1',
      })),
    })),
  }))

/** Rules that deny have none. */
function withoutTemplates<Rule extends ResourceRule | NonResourceRule>(rule: Rule): Rule {
  if (rule.effect === 'allow' || !('resources' in rule)) return rule
  const plain = (entries: readonly string[] | undefined) =>
    entries?.map((entry) => (entry.includes('{{') ? 'web' : entry))
  return { ...rule, namespaces: plain(rule.namespaces), resourceNames: plain(rule.resourceNames) }
}

const subject: fc.Arbitrary<Subject> = fc.record({
  username: of(PEOPLE),
  uid: fc.constant(''),
  groups: fc.subarray(TEAMS),
  extra: fc.record({ team: fc.subarray(CLAIMS) }),
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

/** Asked of each policy set. */
const REQUESTS = 100

const requests: fc.Arbitrary<readonly Attributes[]> = fc.array(
  fc
    .tuple(subject, requestInfo, of([...SOCKETS, '']), fc.constantFrom('10.0.0.1', '11.0.0.1'))
    .map(([who, info, socket, sourceIP]) => attributes(who, info, { socket, sourceIP })),
  { minLength: REQUESTS, maxLength: REQUESTS },
)

/** Casbin over every rule, as {@link CasbinDecider} and as the library comes. */
async function wholeCasbin(policies: readonly Policy[]) {
  const rules = compileRules(policies, createPatternCompiler()).toSorted((a, b) => a.rank - b.rank)
  const lines = rules.map((rule) => rule.casbinLine)
  const decider = new CasbinDecider(createPatternCompiler())
  const stock = await newEnforcer(newModelFromString(CASBIN_MODEL))
  await stock.addPolicies(lines)
  let asked = 0
  return (given: Attributes): { rule: string | null; stock: boolean } => {
    const terms = requestInfoTerms(given.requestInfo)
    const holding = rules.map(({ condition }) => (condition?.holds(given) === true ? ` ${condition.id} ` : ''))
    const fields = casbinRequest({
      ...terms,
      subjects: ` ${subjectTerms(given.subject).join(' ')} `,
      socket: given.socket,
      conditions: holding.join('') + templatesThatResolve(rules, given.subject, terms),
    })
    const rule = decider.decide(lines, fields)
    const allowed = rule !== null && rules.some((one) => one.rule.id === rule && one.rule.effect === 'allow')
    asked += 1
    return { rule, stock: asked % 5 === 0 ? stock.enforceSync(...fields) : allowed }
  }
}

/** What the rules say that match one by one and whose conditions hold. */
function matcherOf(set: PolicySet): (given: Attributes) => Effect {
  const { matching } = createRuleMatcher(set)
  return (given) => {
    const effects = matching(given)
      .filter(({ condition }) => condition?.holds(given) ?? true)
      .map(({ rule }) => rule.effect)
    if (effects.includes('deny')) return 'deny'
    return effects.length > 0 ? 'allow' : 'no-opinion'
  }
}

/** How many decisions are compared, each made in five ways, and every fifth by a Casbin as the library comes too. */
const DECISIONS = Number(process.env['POSTERN_DECISIONS'] ?? 100_000)

test(
  'index, whole Casbin, stock Casbin, cache, rule matcher and reference decide the same',
  { timeout: 600_000 },
  async () => {
    const effects = { allow: 0, deny: 0, 'no-opinion': 0 }
    await fc.assert(
      fc.asyncProperty(policySet, requests, async (set, asked) => {
        const authorizer = createAuthorizer(set)
        const remembering = cached(authorizer)
        const whole = await wholeCasbin(set.policies)
        const oneByOne = matcherOf(set)
        for (const given of asked) {
          const expected = reference(set.policies, given)
          const decision = authorizer.authorize(given)
          effects[expected] += 1
          const answers = [
            decision.effect,
            whole(given),
            remembering.authorize(given).effect,
            remembering.authorize(given).nearest,
            given.requestInfo.verb === '' ? 'no-opinion' : oneByOne(given),
          ]
          const agreed = [
            expected,
            { rule: expected === 'no-opinion' ? null : decision.rule, stock: expected === 'allow' },
            expected,
            decision.nearest,
            expected,
          ]
          if (!isDeepStrictEqual(answers, agreed)) expect(answers).toEqual(agreed)
        }
      }),
      { numRuns: DECISIONS / REQUESTS, endOnFailure: true },
    )
    for (const count of Object.values(effects)) expect(count).toBeGreaterThan(DECISIONS / 50)
  },
)
