import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { authorizerOf } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { DocumentError } from '../document/document.ts'
import type { Decision } from './authorizer.ts'

const ana = subject('ana', 'dev')

/** The rows of the table in docs/policy.md: rules, request, decision, why. */
const rows = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim().replace(/^`(.*)`$/, '$1')))
  .filter(([, rules]) => rules?.startsWith('{') === true)
  .map(([, rules = '', words = '', decision = '']) => ({ rules, words, decision }))

type WrittenRule = Readonly<Record<string, unknown>>

const ruleList = z.array(z.record(z.string(), z.unknown()))

function decide(rules: readonly WrittenRule[], words: string): Decision {
  const authorizer = authorizerOf({ p: `subjects: { groups: [dev] }, rules: ${JSON.stringify(rules)}` })
  return authorizer.authorize(attributes(ana, request(words)))
}

/** The same rules, each time with one list of one of those that allow as wide as it can be. */
function widened(rules: readonly WrittenRule[]): readonly (readonly WrittenRule[])[] {
  return rules.flatMap((rule, index) => {
    if (rule['effect'] === 'deny') return []
    return Object.keys(rule)
      .flatMap((list) => widenedIn(rule, list))
      .map((wider) => rules.with(index, wider))
  })
}

function widenedIn(rule: WrittenRule, list: string): readonly WrittenRule[] {
  const rest = Object.fromEntries(Object.entries(rule).filter(([key]) => key !== list))
  const { verbs } = rule
  switch (list) {
    case 'verbs':
      return [{ ...rest, verbs: ['*', 'approve', 'attest', 'bind', 'escalate', 'impersonate', 'sign'] }]
    case 'resources':
    case 'nonResourceURLs':
      return [
        { ...rest, resources: ['*', '*/*'] },
        { verbs, nonResourceURLs: ['*'] },
      ]
    default:
      return [rest]
  }
}

test('docs/policy.md has its table', () => {
  expect(rows.length).toBeGreaterThan(50)
})

test.each(rows.filter(({ decision }) => decision === 'mistake'))('$rules is a mistake', ({ rules }) => {
  expect(() => authorizerOf({ p: `subjects: { groups: [dev] }, rules: [${rules}]` })).toThrow(DocumentError)
})

test.each(rows.filter(({ decision }) => decision === 'allow'))('$rules: $words is allowed', ({ rules, words }) => {
  expect(decide(ruleList.parse(parse(`[${rules}]`)), words).effect).toBe('allow')
})

test.each(rows.filter(({ decision }) => decision === 'deny'))(
  '$rules: $words is denied, by nothing but the rule that denies or one list that is too narrow',
  ({ rules: text, words }) => {
    const rules = ruleList.parse(parse(`[${text}]`))
    const { effect, rule } = decide(rules, words)
    const denies = rules.some((one) => one['effect'] === 'deny')
    expect(effect).toBe(denies ? 'deny' : 'no-opinion')
    const others = denies ? [rules.filter((_, index) => `p#${index + 1}` !== rule)] : widened(rules)
    // No list is wide enough for the empty verb, so its row asks with another.
    const asked = words.replace(/^- /, 'get ')
    expect(others.map((other) => decide(other, asked).effect)).toContain('allow')
  },
)

const discoverable = [
  '/api',
  '/api/v1',
  '/apis',
  '/apis/apps/v1',
  '/openapi/v2',
  '/openapi/v3',
  '/version',
  '/version/',
]
test.each([...discoverable, '/healthz', '/livez', '/readyz'])('everybody may get and head %s', (path) => {
  const authorizer = authorizerOf({})
  for (const verb of ['get', 'head']) {
    const decision = authorizer.authorize(attributes(ana, request(`${verb} ${path}`)))
    expect(decision).toMatchObject({ effect: 'allow', rule: 'postern:discovery#1', location: 'built-in' })
  }
})

test.each([
  'get /',
  'get /healthz/etcd',
  'get /metrics',
  'get /logs',
  'get /debug/pprof/',
  'get /apisx',
  'get /API',
  'post /api',
  'options /api',
  'get pods -n default',
  'list namespaces',
  'create subjectaccessreviews.authorization.k8s.io',
  'create selfsubjectaccessreviews',
  'create selfsubjectaccessreviews.evil.example.com',
])('nobody may %s for being signed in', (words) => {
  expect(authorizerOf({}).authorize(attributes(ana, request(words))).effect).toBe('no-opinion')
})

test.each([
  ['create selfsubjectaccessreviews.authorization.k8s.io', 'postern:discovery#2'],
  ['create selfsubjectrulesreviews.authorization.k8s.io', 'postern:discovery#2'],
  ['create selfsubjectreviews.authentication.k8s.io', 'postern:discovery#3'],
])('everybody may %s', (words, rule) => {
  expect(authorizerOf({}).authorize(attributes(ana, request(words)))).toMatchObject({ effect: 'allow', rule })
})
