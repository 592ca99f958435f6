import { describe, expect, test } from 'vitest'
import { DocumentError } from '../document/document.ts'
import { lintPolicies } from './lint.ts'
import { createAuthorizer } from './policy-authorizer.ts'
import { policyManifestReader } from './policy-manifests.ts'
import { type PolicySet, loadPolicies } from './policy-set.ts'
import { runPolicyTests } from './policy-tests.ts'

const DEVELOPERS = `apiVersion: postern.dev/v1alpha1
kind: PosternPolicy
metadata: { name: developers, namespace: checkout, labels: { team: checkout }, annotations: { note: a } }
spec:
  subjects: { groups: [checkout] }
  rules:
    - { verbs: ['*'], resources: ['*'] }
tests:
  - { name: in it, as: { user: ana, groups: [checkout] }, request: delete pods/web -n checkout, expect: allow }
  - { name: beside it, as: { user: ana, groups: [checkout] }, request: get pods -n default, expect: deny }
  - { name: itself, as: { user: ana, groups: [checkout] }, request: get namespaces/checkout, expect: deny }
  - { name: secrets, as: { user: ana, groups: [checkout] }, request: get secrets -n checkout, expect: deny }
`
const SECRETS = `apiVersion: postern.dev/v1alpha1
kind: ClusterPosternPolicy
metadata: { name: no-secrets }
spec:
  subjects: { groups: [checkout] }
  rules:
    - { effect: deny, verbs: ['*'], resources: [secrets] }
status: { conditions: [] }
`
const FILE = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: viewers }
spec:
  subjects: { groups: [viewers] }
  rules:
    - { verbs: [get], resources: [pods] }
`
const FOREIGN = `apiVersion: v1
kind: Namespace
metadata: { name: checkout }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
`

function load(text: string, socket: string | null = null): PolicySet {
  return loadPolicies([{ file: 'all.yaml', text }], policyManifestReader(socket))
}

function mistakes(text: string): string[] {
  try {
    load(text)
    return []
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error
    return error.message.split('\n')
  }
}

describe('manifests of policies', () => {
  test('are read beside documents and manifests of others, each with the name and the place that its rules are called by', () => {
    const set = load([FOREIGN, DEVELOPERS, SECRETS, FILE].join('---\n'))
    expect(set.policies.map(({ name }) => name)).toEqual([
      'ClusterPosternPolicy/no-secrets',
      'PosternPolicy/checkout/developers',
      'viewers',
      'postern:discovery',
    ])
    expect(set.policies[1]?.rules[0]).toMatchObject({
      id: 'PosternPolicy/checkout/developers#1',
      location: 'all.yaml:15',
      namespaces: ['checkout'],
    })
  })

  test('are tested as what they say once they are applied: one of a namespace allows in it alone', () => {
    const { results, untested } = runPolicyTests(load([DEVELOPERS, SECRETS].join('---\n')))
    expect(results.map(({ name, passed, problem }) => ({ name, passed, problem }))).toEqual(
      ['in it', 'beside it', 'itself', 'secrets'].map((name) => ({ name, passed: true, problem: '' })),
    )
    expect(untested).toEqual([])
  })

  test('are linted with their places', () => {
    const findings = lintPolicies(load(SECRETS), { nowMs: 0, sockets: null, served: null })
    for (const { location } of findings) expect(location).toMatch(/^all\.yaml:\d+$/)
  })

  test.each([
    ['its socket, where that is known', 'production', 'staging', 'no-opinion'],
    ['its socket and is asked there', 'production', 'production', 'allow'],
    ['any, where none is known', null, 'staging', 'allow'],
  ])('of a namespace are about %s', (_case, socket, asked, effect) => {
    const authorizer = createAuthorizer(load(DEVELOPERS, socket))
    const requestInfo = {
      ...{ isResourceRequest: true, path: '/api/v1/namespaces/checkout/pods', verb: 'list', apiPrefix: 'api' },
      ...{ apiGroup: '', apiVersion: 'v1', namespace: 'checkout', resource: 'pods', subresource: '', name: '' },
      ...{ parts: ['pods'], fieldSelector: '', labelSelector: '' },
    }
    const subject = { username: 'ana', uid: '', groups: ['checkout'], extra: {} }
    const attributes = { subject, requestInfo, socket: asked, sourceIP: '127.0.0.1', atMs: 0 }
    expect(authorizer.authorize(attributes).effect).toBe(effect)
  })

  test.each<[string, string, string | RegExp]>([
    [
      'without a namespace',
      DEVELOPERS.replace(', namespace: checkout', ''),
      'all.yaml:3: metadata.namespace: is missing, expected the namespace that it is applied to',
    ],
    [
      'that names namespaces',
      DEVELOPERS.replace("resources: ['*']", "resources: ['*'], namespaces: [default]"),
      /^all\.yaml:7: spec\.rules\[0\]\.namespaces: unknown key/,
    ],
    [
      'that denies though it is of a namespace',
      DEVELOPERS.replace("{ verbs: ['*']", "{ effect: deny, verbs: ['*']"),
      /^all\.yaml:7: spec\.rules\[0\]\.effect: unknown key/,
    ],
    [
      'whose name is there twice',
      `${SECRETS}---\n${SECRETS}`,
      'all.yaml:12: metadata.name: is the name of the policy at all.yaml:3 too',
    ],
    ['of a kind that is nearly ours', SECRETS.replace('kind: ClusterP', 'kind: CluserP'), /^all\.yaml:2: kind: /],
    ['of a group that is nearly ours', SECRETS.replace('postern.dev', 'posternd.ev'), /^all\.yaml:1: apiVersion: /],
    [
      'in a list',
      `apiVersion: v1\nkind: List\nitems:\n- apiVersion: postern.dev/v1alpha1\n  kind: PosternPolicy\n`,
      'all.yaml:3: items: is a list, expected each object as a document of its own, with a line --- between them',
    ],
  ])('%s are a mistake', (_case, text, mistake) => {
    expect(mistakes(text)).toContainEqual(
      typeof mistake === 'string' ? mistake : (expect.stringMatching(mistake) as string),
    )
  })

  test('are no files of a connector', () => {
    expect(() => loadPolicies([{ file: 'all.yaml', text: SECRETS }])).toThrow(/all\.yaml:2: kind: /)
  })
})
