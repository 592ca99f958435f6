import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { DocumentError } from '../document/document.ts'

const ana = subject('ana', 'dev')

/** The rows of the table in docs/policy.md: rules, request, decision, why. */
const rows = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim().replace(/^`(.*)`$/, '$1')))
  .filter(([, rules]) => rules?.startsWith('{') === true)
  .map(([, rules = '', words = '', decision = '']) => ({ rules, words, decision }))

function decide(rules: string, words: string): string {
  try {
    const authorizer = authorizerOf({ p: `subjects: { groups: [dev] }, rules: [${rules}]` })
    return authorizer.authorize(attributes(ana, request(words))).effect === 'allow' ? 'allow' : 'deny'
  } catch (error) {
    if (error instanceof DocumentError) return 'mistake'
    throw error
  }
}

test('docs/policy.md has its table', () => {
  expect(rows.length).toBeGreaterThan(50)
})

test.each(rows)('$rules: $words is a $decision', ({ rules, words, decision }) => {
  expect(decide(rules, words)).toBe(decision)
})

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
