import { describe, expect, test } from 'vitest'
import { policyText } from '../../test/support/policies.ts'
import { lintPolicies } from './lint.ts'
import { loadPolicies } from './policy-set.ts'
import { readServedResources } from './served-resources.ts'

// Attacks D7, H7, H8.

const NOW = Date.parse('2026-07-01T00:00:00Z')
const discovery = {
  kind: 'APIGroupDiscoveryList',
  items: [
    {
      metadata: {},
      versions: [
        {
          version: 'v1',
          resources: [
            { resource: 'pods', subresources: [{ subresource: 'log' }, { subresource: 'exec' }] },
            { resource: 'secrets' },
          ],
        },
      ],
    },
    {
      metadata: { name: 'apps' },
      versions: [{ version: 'v1', resources: [{ resource: 'deployments', subresources: [{ subresource: 'scale' }] }] }],
    },
  ],
}

function lint(specs: string | Readonly<Record<string, string>>, served: unknown = null): readonly string[] {
  const named = typeof specs === 'string' ? { p: `subjects: { users: [ana] }, rules: [${specs}]` } : specs
  const files = Object.entries(named).map(([name, spec]) => ({ file: `${name}.yaml`, text: policyText(name, spec) }))
  const findings = lintPolicies(loadPolicies(files), {
    nowMs: NOW,
    sockets: ['production', 'staging'],
    served: served === null ? null : readServedResources(served),
  })
  return findings.map(({ code, level, subject, message }) => `${level} ${code} ${subject}: ${message}`)
}

const codes = (specs: Parameters<typeof lint>[0]): readonly string[] =>
  lint(specs).map((line) => line.split(' ')[1] ?? '')

test('rules that only read what is harmless are right', () => {
  expect(
    lint(
      '{ verbs: [get, list, watch], resources: [pods, pods/log, deployments] }, { verbs: [get], nonResourceURLs: [/version] }',
    ),
  ).toEqual([])
})

describe('a grant that amounts to the administration of the cluster', () => {
  test.each<[rule: string, phrase: string]>([
    ['{ verbs: [get], resources: [secrets] }', 'read secrets'],
    ['{ verbs: [list], resources: ["*"] }', 'read secrets'],
    ['{ verbs: [create], resources: [pods] }', 'run workloads, as any service account of their namespace'],
    [
      '{ verbs: [patch], resources: [deployments], apiGroups: [apps] }',
      'run workloads, as any service account of their namespace',
    ],
    ['{ verbs: [create], resources: [pods/exec] }', 'run commands in pods'],
    ['{ verbs: [patch], resources: [pods/ephemeralcontainers] }', 'run commands in pods through debug containers'],
    ['{ verbs: [get], resources: ["*/proxy"] }', 'reach pods, services or kubelets past the API'],
    ['{ verbs: [create], resources: [serviceaccounts/token] }', 'request tokens of service accounts'],
    ['{ verbs: [escalate], resources: [clusterroles] }', 'escalate or bind roles'],
    ['{ verbs: [impersonate], resources: [users] }', 'impersonate'],
    ['{ verbs: [create], resources: [rolebindings] }', 'write roles and bindings'],
    ['{ verbs: [patch], resources: [nodes] }', 'change nodes'],
    ['{ verbs: [update], resources: [certificatesigningrequests/approval] }', 'issue certificates'],
    ['{ verbs: [patch], resources: [certificatesigningrequests/status] }', 'issue certificates'],
    ['{ verbs: [sign], resources: [signers], apiGroups: [certificates.k8s.io] }', 'issue certificates'],
    [
      '{ verbs: [create, update], resources: [certificatesigningrequests, certificatesigningrequests/approval] }',
      'issue certificates',
    ],
    ['{ verbs: [create], resources: [certificatesigningrequests/nodeclient] }', 'get certificates of nodes'],
    ['{ verbs: [create], resources: [mutatingwebhookconfigurations] }', 'change admission'],
    ['{ verbs: [deletecollection], resources: [validatingwebhookconfigurations] }', 'change admission'],
    ['{ verbs: [patch], resources: [endpoints] }', 'send what is meant for services elsewhere'],
    [
      '{ verbs: [create, update, escalate], apiGroups: [postern.dev], resources: [clusterposternpolicies] }',
      'change the policies of this gateway',
    ],
    ['{ verbs: [create], resources: [customresourcedefinitions] }', 'change the API itself'],
    ['{ verbs: [create], resources: [persistentvolumes] }', 'mount the disks of nodes'],
    ['{ verbs: [update], resources: [configmaps], namespaces: ["kube-*"] }', 'write configuration of the cluster'],
    ['{ verbs: [get], nonResourceURLs: ["/debug/*"] }', 'read metrics, logs or profiles of the API server'],
  ])('%s', (rule, phrase) => {
    expect(lint(rule)).toEqual([
      `warning cluster-admin p#1: it grants what amounts to the administration of the cluster: ${phrase}`,
    ])
  })

  test('is a note where it is confined to namespaces', () => {
    expect(lint('{ verbs: [get], resources: [secrets], namespaces: [a] }')).toEqual([
      'note cluster-admin p#1: in its namespaces it grants what amounts to their administration: read secrets',
    ])
  })

  test.each([
    '{ verbs: [get], resources: [secrets], apiGroups: [example.com] }',
    '{ verbs: [get], resources: ["*"], except: { resources: [secrets] } }',
    '{ effect: deny, verbs: [get], resources: [secrets] }',
    '{ verbs: [get], resources: ["*"] }, { effect: deny, verbs: ["*"], resources: [secrets] }',
    '{ verbs: [update], resources: [configmaps], namespaces: [a] }',
    '{ verbs: [create, update], apiGroups: [postern.dev], resources: [clusterposternpolicies] }',
    '{ verbs: [create], resources: [certificatesigningrequests/nodeclient], resourceNames: [a] }',
  ])('is not %s', (rule) => {
    expect(lint(rule)).toEqual([])
  })
})

describe('a rule that never matches', () => {
  test.each<[rule: string, why: string]>([
    ['{ verbs: [create], resources: [configmaps], resourceNames: [a] }', 'a create carries no name'],
    ['{ verbs: [get, list], resources: [pods/exec] }', 'are decided as create'],
    ['{ verbs: [get], resources: [nodes/status, persistentvolumes], namespaces: [a] }', 'are in no namespace'],
    [
      '{ verbs: [get], resources: [clusterroles], apiGroups: [rbac.authorization.k8s.io], namespaces: [a] }',
      'are in no namespace',
    ],
    ['{ verbs: [get], resources: [pods], except: { resources: [pods] } }', 'its exceptions leave nothing of it'],
    [
      '{ verbs: [get], resources: [pods], namespaces: [dev-a], except: { namespaces: ["dev-*"] } }',
      'its exceptions leave nothing',
    ],
    [
      '{ verbs: [get], resources: [pods], apiGroups: [""], except: { apiGroups: ["*"] } }',
      'its exceptions leave nothing',
    ],
    ['{ verbs: [get], resources: [pods], except: { resourceNames: ["*"] } }', 'its exceptions leave nothing'],
    ['{ verbs: [get], nonResourceURLs: [/api/v1/pods] }', 'below these paths are resources'],
    ['{ verbs: [get], nonResourceURLs: ["/apis/apps/v1/deployments*"] }', 'below these paths are resources'],
  ])('%s', (rule, why) => {
    expect(lint(rule)).toEqual([expect.stringMatching(`^error never-matches p#1: .*${why}`)])
  })

  test('for want of a socket', () => {
    expect(
      lint({ p: 'sockets: [prod], subjects: { users: [a] }, rules: [{ verbs: [get], resources: [pods] }]' }),
    ).toEqual(['error never-matches p#1: there is no socket prod; the connector has production, staging'])
  })

  test.each([
    '{ verbs: [create], resources: [pods/eviction], resourceNames: [a] }',
    '{ verbs: [get, create], resources: [configmaps], resourceNames: [a] }',
    '{ verbs: [create], resources: ["*"], resourceNames: [a] }',
    '{ effect: deny, verbs: [deletecollection], resources: [secrets], resourceNames: [db] }',
    '{ effect: deny, verbs: [get], resources: [pods], except: { namespaces: ["*"] } }',
    '{ verbs: [get], resources: [namespaces], namespaces: [a] }',
    '{ verbs: [get], resources: [pods], namespaces: ["{{ subject.username }}"], except: { namespaces: [a] } }',
    '{ verbs: [get], resources: [widgets], namespaces: [a] }',
    '{ verbs: [get], nonResourceURLs: ["/api/*", /apis/apps/v1] }',
  ])('is not %s', (rule) => {
    expect(codes(rule)).not.toContain('never-matches')
  })
})

describe('a rule in the shadow of another', () => {
  test.each<[rules: string, shadow: string]>([
    [
      '{ verbs: [get, list], resources: [pods] }, { verbs: [list], resources: [pods] }',
      'p#2: rule p#1 says the same already',
    ],
    [
      '{ verbs: [list], resources: [pods] }, { verbs: [list], resources: [pods] }',
      'p#1: rule p#2 says the same already',
    ],
    [
      '{ verbs: [list], resources: [pods], namespaces: ["dev-*"] }, { verbs: [list], resources: [pods], namespaces: [dev-a, "dev-b*"] }',
      'p#2: rule p#1 says the same already',
    ],
    [
      '{ verbs: [list], resources: [pods] }, { effect: deny, verbs: ["*"], resources: ["*"] }',
      'p#1: rule p#2 denies all that it allows',
    ],
    [
      '{ verbs: [get], nonResourceURLs: ["/x/*"] }, { verbs: [get], nonResourceURLs: [/x/y] }',
      'p#2: rule p#1 says the same already',
    ],
  ])('%s', (rules, shadow) => {
    expect(lint(rules)).toEqual([`warning shadowed ${shadow}`])
  })

  test('of another policy about everybody', () => {
    const rules = 'rules: [{ verbs: [list], resources: [pods] }]'
    expect(
      codes({
        a: `subjects: { users: [ana] }, ${rules}`,
        b: `subjects: { groups: ["system:authenticated"] }, ${rules}`,
      }),
    ).toEqual(['shadowed'])
  })

  test.each([
    '{ verbs: [list], resources: ["*"] , apiGroups: [apps] }, { verbs: [list], resources: [pods] }',
    '{ verbs: ["*"], resources: [pods], namespaces: ["*"] }, { verbs: [list], resources: [pods] }',
    '{ verbs: ["*"], resources: [widgets] }, { verbs: [bind], resources: [widgets] }',
    '{ verbs: [list], resources: [pods] }, { verbs: [list], resources: ["*"], except: { resources: [secrets] } , apiGroups: [""] }',
    '{ effect: deny, verbs: ["*"], resources: [pods], namespaces: [a] }, { verbs: [list], resources: [pods] }',
    '{ verbs: [create], resources: [pods/portforward] }, { verbs: [create], resources: [pods/portforward], session: { maxDuration: 1h } }',
    '{ verbs: [list], resources: ["*/*"] }, { verbs: [list], resources: [pods/log, pods] }',
  ])('is not %s', (rules) => {
    expect(codes(rules)).not.toContain('shadowed')
  })

  test('is not one whose shadow hangs on a condition, or is about others', () => {
    const rules = 'rules: [{ verbs: [list], resources: [pods] }]'
    const conditional = 'conditions: { sourceIPs: [10.0.0.0/8] }'
    expect(
      codes({ a: `subjects: { users: [ana] }, ${rules}`, b: `subjects: { users: [ana] }, ${conditional}, ${rules}` }),
    ).toEqual(['shadowed'])
    expect(
      codes({ a: `subjects: { users: [ana] }, ${conditional}, ${rules}`, b: `subjects: { users: [omar] }, ${rules}` }),
    ).toEqual([])
  })
})

describe('words', () => {
  test.each<[rule: string, finding: string]>([
    [
      '{ verbs: [lists], resources: [pods] }',
      'warning unknown-verb p#1: Kubernetes has no verb lists, did you mean list?',
    ],
    ['{ verbs: [list], nonResourceURLs: [/version] }', 'warning unknown-verb p#1: a path has no verb list'],
    ['{ verbs: [list], resources: [po] }', 'warning unknown-resource p#1: po is no plural, did you mean pods?'],
    [
      '{ verbs: [list], resources: [deployment] }',
      'warning unknown-resource p#1: deployment is no plural, did you mean deployments?',
    ],
  ])('%s', (rule, finding) => {
    expect(lint(rule)).toContain(finding)
  })

  test.each<[rule: string, finding: string]>([
    ['{ verbs: [list], resources: [pdos] }', 'the cluster has no pdos, did you mean pods?'],
    ['{ verbs: [list], resources: [pods], apiGroups: [apps] }', 'the cluster has no pods in these API groups'],
    ['{ verbs: [get], resources: [pods/logs] }', 'the cluster has no pods/logs, did you mean pods/log?'],
    ['{ verbs: [get], resources: ["*/scales"] }', 'the cluster has no */scales'],
    ['{ verbs: [list], resources: ["*"], apiGroups: [app] }', 'the cluster has no API group app, did you mean apps?'],
  ])('%s against a cluster', (rule, finding) => {
    expect(lint(rule, discovery)).toEqual([expect.stringContaining(`error unknown-resource p#1: ${finding}`)])
  })

  test('that a cluster knows are right', () => {
    expect(
      lint(
        '{ verbs: [get], resources: [pods, pods/log, "deployments/*", "*/scale", deployments], apiGroups: ["", apps] }',
        discovery,
      ),
    ).toEqual([])
  })
})

test('a rule about what is asked for and not served is right against a cluster too', () => {
  const rules = [
    '{ verbs: [impersonate], resources: [users, groups, uids, userextras/team] }',
    '{ verbs: [approve], resources: [signers], apiGroups: ["*"] }',
    '{ verbs: [list, delete], apiGroups: [postern.dev], resources: [sessions, sessions/follow, recordings/cast] }',
  ]
  expect(rules.flatMap((rule) => lint(rule, discovery)).filter((line) => line.includes('unknown'))).toEqual([])
  expect(lint('{ verbs: [list], apiGroups: [apps], resources: [sessions] }', discovery)).toHaveLength(1)
})

test('a policy that is over is told', () => {
  expect(
    lint({
      p: 'conditions: { notAfter: 2026-06-30T00:00:00Z }, subjects: { users: [a] }, rules: [{ verbs: [get], resources: [pods] }]',
    }),
  ).toEqual(['warning expired p: it is not in force since 2026-06-30T00:00:00Z'])
})

describe('what a cluster serves', () => {
  test.each<[name: string, value: unknown]>([
    [
      'a list of a group',
      { kind: 'APIResourceList', groupVersion: 'v1', resources: [{ name: 'pods' }, { name: 'pods/log' }] },
    ],
    [
      'several of them',
      [
        { groupVersion: 'v1', resources: [{ name: 'pods' }, { name: 'pods/log' }] },
        { groupVersion: 'apps/v1', resources: [{ name: 'deployments' }] },
      ],
    ],
    [
      'kubectl api-resources',
      {
        kind: 'APIResourceList',
        groupVersion: '',
        resources: [
          { name: 'pods', version: 'v1' },
          { name: 'deployments', group: 'apps' },
        ],
      },
    ],
    ['discovery', discovery],
  ])('is read from %s', (_, value) => {
    const served = readServedResources(value)
    expect([served.has('pods', ['']), served.has('pods/log', undefined), served.has('pdos', undefined)]).toEqual([
      true,
      true,
      false,
    ])
  })

  test.each([null, {}, [], 'pods', { resources: [] }])('is not %j', (value) => {
    expect(() => readServedResources(value)).toThrow(TypeError)
  })
})
