/**
 * What a decision costs: Casbin over all rules, index and Casbin over the candidates (for a subject that was seen before,
 * and for a new one), a decision that is remembered, and a denial that names the nearest rules, remembered or not; at 10,
 * 1,000 and 10,000 rules, and where thousands of rules are about one caller: plain, with a condition for every ten of them,
 * and with a template in each. The ways take turns in one process, in random order; what counts is CPU time a decision, as
 * a ratio to index and Casbin in the same cycle.
 *
 * Then what it costs to load 10,000 rules, in a process of its own.
 *
 *     node bench/policy.ts [CYCLES]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseRequest } from '../src/kube/parsed-request.ts'
import type { Subject } from '../src/kube/subject.ts'
import type { Attributes } from '../src/policy/authorizer.ts'
import { CasbinDecider, casbinRequest } from '../src/policy/casbin.ts'
import { compileRules } from '../src/policy/compiled-rule.ts'
import { cached } from '../src/policy/decision-cache.ts'
import { createPatternCompiler } from '../src/policy/pattern-compiler.ts'
import { createAuthorizer } from '../src/policy/policy-authorizer.ts'
import { loadPolicies } from '../src/policy/policy-set.ts'
import type { PolicySet } from '../src/policy/policy-set.ts'
import { requestInfoTerms, subjectTerms } from '../src/policy/request-terms.ts'

const SIZES = [10, 1_000, 10_000]
const RULES_PER_POLICY = 10
const SLICE_MS = 60
const REQUESTS = 2_000
const SUBJECTS = 50

/** Teams with policies of ten rules each: three of any namespace of theirs, exec, denials, globs, and names. */
function policyText(team: number): string {
  return `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: team-${team} }
spec:
  sockets: [production, "staging-*"]
  subjects: { groups: [team-${team}], users: [lead-${team}@example.com] }
  rules:
    - { verbs: [get, list, watch], resources: [pods, pods/log, services], apiGroups: [""], namespaces: [team-${team}] }
    - { verbs: ["*"], resources: [deployments, statefulsets], apiGroups: [apps], namespaces: [team-${team}] }
    - { verbs: [get, list], resources: ["*"], namespaces: ["team-${team}-*"] }
    - { verbs: [create], resources: [pods/exec], namespaces: [team-${team}] }
    - { verbs: [get], resources: [configmaps], namespaces: [shared], resourceNames: [team-${team}, "team-${team}-*"] }
    - { verbs: [create, delete], resources: [jobs], apiGroups: [batch], namespaces: [team-${team}] }
    - { verbs: [list], resources: [nodes, namespaces] }
    - { verbs: [get], nonResourceURLs: [/metrics, "/logs/*"] }
    - { effect: deny, verbs: ["*"], resources: [secrets] }
    - { effect: deny, verbs: [delete, deletecollection], resources: ["*"], namespaces: ["team-${team}-prod"] }
`
}

function policyFile(rules: number): string {
  return Array.from({ length: rules / RULES_PER_POLICY }, (_, team) => policyText(team)).join('---\n')
}

/** The rules of so many teams that have namespaces, all about everybody, so that only what they say tells them apart. */
function crowdedFile(teams: number): string {
  return Array.from({ length: teams }, (_, team) => policyText(team))
    .join('---\n')
    .replaceAll(/groups: \[team-\d+\]/g, 'groups: ["system:authenticated"]')
    .replaceAll(/^ {4}- (?!.*namespaces: ).*\n/gm, '')
}

/** Each policy with a condition of its own, which holds. */
function conditionalFile(text: string): string {
  let policies = 0
  return text.replaceAll('  rules:', () => {
    policies += 1
    const [hour, minute] = [12 + (policies % 12), Math.floor(policies / 12) % 60].map((n) => String(n).padStart(2, '0'))
    const timeOfDay = `{ from: "00:00", to: "${hour ?? ''}:${minute ?? ''}", timeZone: UTC }`
    return `  conditions: { sourceIPs: [10.0.0.0/8, 172.${policies % 256}.0.0/16], timeOfDay: ${timeOfDay} }\n  rules:`
  })
}

/** Each namespace of a rule that allows by a template, which stands for the same. */
function templatedFile(text: string): string {
  return text.replaceAll(
    /^(?!.*effect: deny)(.* namespaces: \["?)team(-[^"\]]+)"?\]/gm,
    (_, before: string, after: string) => {
      return `${before.replace(/"$/, '')}"{{ subject.extra.kind }}${after}"]`
    },
  )
}

/** The same numbers each time: a linear congruential generator. */
function createRandom(): (below: number) => number {
  let state = 42
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function subjectsOf(teams: number, random: (below: number) => number): readonly Subject[] {
  return Array.from({ length: SUBJECTS }, (_, index) => ({
    username: `person-${index}@example.com`,
    uid: '',
    groups: Array.from({ length: 1 + random(3) }, () => `team-${random(teams)}`),
    extra: { kind: ['team'] },
  }))
}

function requestsOf(subjects: readonly Subject[], random: (below: number) => number): readonly Attributes[] {
  return Array.from({ length: REQUESTS }, (_, index) => {
    const subject = subjects[random(subjects.length)] ?? subjects[0]
    if (subject === undefined) throw new TypeError('nobody asks')
    const team = subject.groups[random(subject.groups.length)] ?? ''
    const targets: [method: string, target: string][] = [
      ['GET', `/api/v1/namespaces/${team}/pods/web-${index}`],
      ['GET', `/api/v1/namespaces/${team}/pods?watch=1`],
      ['PATCH', `/apis/apps/v1/namespaces/${team}/deployments/web-${index}`],
      ['GET', `/api/v1/namespaces/${team}-dev/services/web-${index}`],
      ['POST', `/api/v1/namespaces/${team}/pods/web-${index}/exec`],
      ['GET', `/api/v1/namespaces/shared/configmaps/${team}-${index}`],
      ['GET', '/api/v1/nodes'],
      ['GET', `/api/v1/namespaces/${team}/secrets/db-${index}`],
      ['DELETE', `/api/v1/namespaces/${team}-prod/pods/web-${index}`],
      ['GET', `/api/v1/namespaces/elsewhere/pods/web-${index}`],
    ]
    const [method, target] = targets[random(targets.length)] ?? ['GET', '/api']
    const { requestInfo } = parseRequest(method, target)
    return { subject, requestInfo, socket: 'production', sourceIP: '10.1.2.3', atMs: 0 }
  })
}

/** Decides one request after the other, round and round. */
type Way = (given: Attributes) => unknown

function waysOf(
  set: PolicySet,
  requests: readonly Attributes[],
  comparesCasbin: boolean,
): Readonly<Record<string, Way>> {
  const rules = compileRules(set.policies, createPatternCompiler()).toSorted((a, b) => a.rank - b.rank)
  const lines = rules.map(({ casbinLine }) => casbinLine)
  const plain = new CasbinDecider(createPatternCompiler())
  const authorizer = createAuthorizer(set)
  const remembering = cached(authorizer)
  const denied = requests.filter((given) => authorizer.authorize(given).effect === 'no-opinion')
  let next = 0
  const oneDenied = (fallback: Attributes): Attributes => denied[(next += 1) % denied.length] ?? fallback
  return {
    'index + Casbin': (given) => authorizer.authorize(given),
    'for a new subject': (given) => authorizer.authorize({ ...given, subject: { ...given.subject } }),
    remembered: (given) => remembering.authorize(given),
    'denied, in words': (given) => authorizer.authorize(oneDenied(given)).nearest,
    'the same remembered': (given) => remembering.authorize(oneDenied(given)).nearest,
    ...(comparesCasbin && {
      'Casbin, all rules': ({ subject, requestInfo, socket }) => {
        const subjects = ` ${subjectTerms(subject).join(' ')} `
        return plain.decide(
          lines,
          casbinRequest({ ...requestInfoTerms(requestInfo), subjects, socket, conditions: '' }),
        )
      },
    }),
  }
}

/** CPU time of one decision, in microseconds. */
function measure(
  way: Way,
  requests: readonly Attributes[],
  first: number,
): { readonly cost: number; readonly next: number } {
  const endMs = performance.now() + SLICE_MS
  const begin = process.cpuUsage()
  let count = 0
  do {
    // The clock is not asked for each of the fast ones.
    for (let batch = 0; batch < (count === 0 ? 1 : 16); batch += 1) {
      const given = requests[(first + count) % requests.length]
      if (given !== undefined) way(given)
      count += 1
    }
  } while (performance.now() < endMs)
  const { user, system } = process.cpuUsage(begin)
  return { cost: (user + system) / count, next: first + count }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(q * (sorted.length - 1))] ?? NaN
}

function compare(title: string, text: string, size: number, cycles: number, comparesCasbin = true): void {
  const set = loadPolicies([{ file: 'bench.yaml', text }])
  const random = createRandom()
  const requests = requestsOf(subjectsOf(size / RULES_PER_POLICY, random), random)
  const ways = waysOf(set, requests, comparesCasbin)
  const authorize = ways['index + Casbin']
  const allowed = requests.filter((given) => (authorize?.(given) as { effect: string }).effect === 'allow').length
  const costs = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]))
  const ratios = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]))
  const places = new Map<string, number>()
  for (let cycle = -4; cycle < cycles; cycle += 1) {
    const round = new Map<string, number>()
    for (const [name, way] of Object.entries(ways).toSorted(() => Math.random() - 0.5)) {
      const { cost, next } = measure(way, requests, places.get(name) ?? 0)
      places.set(name, next)
      round.set(name, cost)
    }
    // The first four warm up.
    if (cycle < 0) continue
    const own = round.get('index + Casbin') ?? NaN
    for (const [name, cost] of round) {
      costs.get(name)?.push(cost)
      ratios.get(name)?.push(cost / own)
    }
  }
  console.log(`\n${title}, ${Math.round((100 * allowed) / requests.length)} % allowed`)
  for (const [name, values] of costs) {
    const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(ratios.get(name) ?? [], q).toPrecision(3))
    const cost = quantile(values, 0.5).toFixed(2)
    console.log(`  ${name.padEnd(19)} ${cost.padStart(10)} µs   x ${middle ?? ''} (${low ?? ''}-${high ?? ''})`)
  }
}

/** What it took to load so many rules. */
interface Loaded {
  readonly milliseconds: number
  readonly cpuMilliseconds: number
  /** Of the heap, kept for as long as the policy is in force. */
  readonly keptMiB: number
  /** Of the process, at most, beyond what it had before. */
  readonly peakMiB: number
}

function load(size: number): Loaded {
  const text = policyFile(size)
  createAuthorizer(loadPolicies([{ file: 'warm.yaml', text: policyFile(RULES_PER_POLICY) }]))
  globalThis.gc?.()
  const before = { heap: process.memoryUsage().heapUsed, rss: process.resourceUsage().maxRSS }
  const cpu = process.cpuUsage()
  const beganAt = performance.now()
  const authorizer = createAuthorizer(loadPolicies([{ file: 'bench.yaml', text }]))
  const milliseconds = performance.now() - beganAt
  const { user, system } = process.cpuUsage(cpu)
  const peak = process.resourceUsage().maxRSS - before.rss
  globalThis.gc?.()
  const kept = process.memoryUsage().heapUsed - before.heap
  if (authorizer.revision === '') throw new TypeError('nothing was loaded')
  return { milliseconds, cpuMilliseconds: (user + system) / 1000, keptMiB: kept / 2 ** 20, peakMiB: peak / 2 ** 10 }
}

if (process.argv[2] === 'load') {
  process.send?.(load(Number(process.argv[3])))
} else {
  const cycles = Number(process.argv[2] ?? 15)
  for (const size of SIZES) compare(`${size} rules`, policyFile(size), size, cycles)
  const size = SIZES.at(-1) ?? 0
  const crowd = crowdedFile(size / RULES_PER_POLICY)
  const everybody = `${crowd.split(' - ').length - 1} rules about everybody`
  compare(everybody, crowd, size, cycles)
  compare(
    `${everybody}, a condition in each of ${size / RULES_PER_POLICY} policies`,
    conditionalFile(crowd),
    size,
    cycles,
    false,
  )
  compare(`${everybody}, templates`, templatedFile(crowd), size, cycles, false)
  const child = fork(fileURLToPath(import.meta.url), ['load', String(size)], { execArgv: ['--expose-gc'] })
  const [loaded] = (await once(child, 'message')) as [Loaded]
  console.log(`\nloading ${size} rules (${Math.round(policyFile(size).length / 1024)} KiB of YAML)`)
  console.log(`  ${loaded.milliseconds.toFixed(0)} ms, ${loaded.cpuMilliseconds.toFixed(0)} ms of CPU time`)
  console.log(`  ${loaded.keptMiB.toFixed(0)} MiB kept, ${loaded.peakMiB.toFixed(0)} MiB more at the peak`)
}
