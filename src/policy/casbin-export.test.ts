import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newEnforcer } from 'casbin'
import { afterAll, expect, test } from 'vitest'
import { policyText } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { casbinRequest } from './casbin.ts'
import { exportCasbin } from './casbin-export.ts'
import { compileRules } from './compiled-rule.ts'
import { createPatternCompiler } from './pattern-compiler.ts'
import { createAuthorizer, templatesThatResolve } from './policy-authorizer.ts'
import { loadPolicies } from './policy-set.ts'
import { requestInfoTerms, subjectTerms } from './request-terms.ts'

const directory = mkdtempSync(join(tmpdir(), 'postern-casbin-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const examples = new URL('../../examples/policies/', import.meta.url)
const set = loadPolicies([
  ...readdirSync(examples)
    .filter((name) => name.endsWith('.yaml'))
    .map((file) => ({ file, text: readFileSync(new URL(file, examples), 'utf8') })),
  {
    file: 'strange.yaml',
    text: policyText(
      'strange',
      `subjects: { users: ["a,b", 'x"y', "u # v", "käthe"] }, rules: [{ verbs: ["*"], resources: [pods], resourceNames: ["a,b*", "a.b"], namespaces: ["*"] },
        { effect: deny, verbs: [get], resources: [pods], resourceNames: ["a,b#"] }]`,
    ),
  },
])

const callers = [
  { ...subject('ana', 'developers', 'viewers'), extra: { team: ['shop', '*'] } },
  subject('omar', 'on-call'),
  subject('ana@example.com'),
  subject('ci:deploy'),
  ...['a,b', 'x"y', 'u # v', 'käthe', 'anab', 'eve'].map((name) => subject(name)),
]
const words = [
  ...['get pods web -n ana', 'list pods', 'get secrets db -n shop-a', 'create pods/exec web -n app-x', 'get /metrics'],
  ...[
    'get pods a,b -n x',
    'get pods a,b# -n x',
    'get pods a.b -n x',
    'get pods axb -n x',
    'get /api/v1',
    'get nodes n',
  ],
  ...[
    'patch deployments.apps web -n app-x',
    'delete pods web -n kube-system',
    'bind clusterroles.rbac.authorization.k8s.io x',
  ],
]

test('the library as it comes loads the two files and decides the same', async () => {
  const { model, policy } = exportCasbin(set)
  writeFileSync(join(directory, 'model.conf'), model)
  writeFileSync(join(directory, 'policy.csv'), policy)
  const stock = await newEnforcer(join(directory, 'model.conf'), join(directory, 'policy.csv'))
  const authorizer = createAuthorizer(set)
  const rules = compileRules(set.policies, createPatternCompiler())
  const seen = { allow: 0, deny: 0, 'no-opinion': 0 }
  for (const caller of callers) {
    for (const text of words) {
      for (const [sourceIP, atMs] of [
        ['10.1.2.3', Date.parse('2026-07-01T22:00:00Z')],
        ['203.0.113.7', 0],
      ] as const) {
        const given = attributes(caller, request(text), { sourceIP, atMs })
        const { effect } = authorizer.authorize(given)
        const terms = requestInfoTerms(given.requestInfo)
        const holding = rules.map(({ condition }) => (condition?.holds(given) === true ? ` ${condition.id} ` : ''))
        const fields = casbinRequest({
          ...terms,
          subjects: ` ${subjectTerms(caller).join(' ')} `,
          socket: given.socket,
          conditions: holding.join('') + templatesThatResolve(rules, caller, terms),
        })
        seen[effect] += 1
        expect([caller.username, text, await stock.enforce(...fields)]).toEqual([
          caller.username,
          text,
          effect === 'allow',
        ])
      }
    }
  }
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0)
})

test('what a line refers to by name is said in a comment', () => {
  expect(
    exportCasbin(set)
      .policy.split('\n')
      .filter((line) => line.startsWith('#')),
  ).toEqual([
    `# policy revision ${set.revision}`,
    '# condition-2 holds with a source address in 10.0.0.0/8 or 192.168.0.0/16',
    '# namespace-template-1 holds when the namespace is {{ subject.username }}',
    '# namespace-template-2 holds when the namespace is {{ subject.extra.team }}-*',
    '# condition-1 holds with a source address in 10.0.0.0/8 and a time from 2026-07-01T20:00:00Z on and a time until 2026-07-02T02:00:00Z',
  ])
})
