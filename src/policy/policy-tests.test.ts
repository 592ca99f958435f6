import { describe, expect, test } from 'vitest'
import { policyText } from '../../test/support/policies.ts'
import type { ForwardAs } from '../kube/impersonation.ts'
import { loadPolicies } from './policy-set.ts'
import { runPolicyTests } from './policy-tests.ts'

function report(spec: string, ...tests: readonly string[]) {
  const text = `${policyText('p', spec)}tests:\n${tests.map((given) => `- { name: t, as: { user: ana }, ${given} }\n`).join('')}`
  return runPolicyTests(loadPolicies([{ file: 'p.yaml', text }]))
}

const problems = (spec: string, ...tests: readonly string[]): readonly string[] =>
  report(spec, ...tests).results.map(({ problem }) => problem)

const READS =
  'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods] }, { verbs: [list], resources: [pods] }]'

describe('a test', () => {
  test.each<[name: string, given: string, problem: string]>([
    ['passes', 'request: get pods/web, expect: allow', ''],
    ['passes with a denial', 'request: delete pods/web, expect: deny', ''],
    ['fails', 'request: delete pods/web, expect: allow', 'it is denied: no rule allows it; p#1 lacks verb "delete"'],
    ['fails when too much is allowed', 'request: get pods/web, expect: deny', 'it is allowed: rule p#1 allows it'],
    [
      'fails when it asks for nothing',
      'request: get pdos, expect: deny',
      'Kubernetes has no "pdos"; did you mean pods?',
    ],
    [
      'fails for a request line that is refused',
      'request: GET /api//v1, expect: deny',
      'the path "/api//v1" has an empty segment',
    ],
  ])('%s', (_, given, problem) => {
    expect(problems(READS, given)).toEqual([problem])
  })

  const WRITES_ROLES =
    'subjects: { users: [ana] }, rules: [{ verbs: [create], resources: [clusterroles] }, { verbs: [get], resources: [pods] }]'
  test('asks what the gateway asks besides', () => {
    expect(problems(WRITES_ROLES, 'request: create clusterroles, expect: allow')).toEqual([
      'it is denied, since it needs escalate clusterroles.rbac.authorization.k8s.io too: no rule allows it; p#1 lacks verb "escalate"',
    ])
    const granted = WRITES_ROLES.replace('[get], resources: [pods]', '[escalate], resources: [clusterroles]')
    const { results, untested } = report(granted, 'request: create clusterroles, expect: allow')
    expect([results.map(({ problem }) => problem), untested]).toEqual([[''], []])
  })

  test('asks what the connector of its socket does', () => {
    const text = `${policyText('p', WRITES_ROLES)}tests:\n- { name: t, as: { user: ana }, socket: own, request: create clusterroles, expect: allow }\n`
    const set = loadPolicies([{ file: 'p.yaml', text }])
    const ended = (forwardAs: ForwardAs) =>
      runPolicyTests(set, (socket) => (socket === 'own' ? forwardAs : 'connector')).results.map(({ passed }) => passed)
    expect([ended('subject'), ended('connector')]).toEqual([[true], [false]])
  })

  test('knows its place', () => {
    expect(report(READS, 'request: get pods/web, expect: allow').results).toMatchObject([
      { policy: 'p', name: 't', location: 'p.yaml:6', request: 'get pods/web', expected: 'allow', passed: true },
    ])
  })

  test.each<[sockets: string, given: string, problem: string]>([
    ['[production]', '', ''],
    ['["eu-*"]', '', ''],
    ['["*"]', '', ''],
    ['[production, staging]', 'socket: staging,', ''],
    ['[production]', 'socket: staging,', 'it is denied: no rule allows this user anything on this socket'],
  ])('asks the first socket of its policy %s unless it names one: %s', (sockets, given, problem) => {
    expect(problems(`sockets: ${sockets}, ${READS}`, `${given} request: get pods/web, expect: allow`)).toEqual([
      problem,
    ])
  })

  const conditional = `conditions: { sourceIPs: [10.0.0.0/8], notAfter: 2026-07-01T00:00:00Z }, ${READS}`
  test('has to say what the decision depends on, and nothing else', () => {
    const needed =
      'the decision depends on the source address (`sourceIP`) and the time (`at`), which the test does not say'
    expect(
      problems(
        conditional,
        'request: get pods/web, expect: allow',
        'request: delete pods/web, expect: deny',
        'request: get pods/web, sourceIP: 10.1.1.1, at: 2026-06-30T00:00:00Z, expect: allow',
        'request: get pods/web, sourceIP: 10.1.1.1, at: 2026-07-02T00:00:00Z, expect: deny',
        'request: get pods/web, sourceIP: 11.1.1.1, at: 2026-06-30T00:00:00Z, expect: deny',
      ),
    ).toEqual([needed, '', '', '', ''])
  })

  test('can have claims', () => {
    const text = `${policyText('p', `conditions: { extra: { team: [a] } }, ${READS}`)}tests:
- { name: t, as: { user: ana, extra: { team: [a] } }, request: get pods/web, expect: allow }
- { name: t, as: { user: ana }, request: get pods/web, expect: deny }
`
    const { results } = runPolicyTests(loadPolicies([{ file: 'p.yaml', text }]))
    expect(results.map(({ passed }) => passed)).toEqual([true, true])
  })
})

test('rules that no test touches are named, and built-in ones are not', () => {
  expect(report(READS, 'request: list pods, expect: allow').untested).toEqual([{ rule: 'p#1', location: 'p.yaml:4' }])
})
