import { describe, expect, it } from 'vitest'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { createAuthorizer } from './policy-authorizer.ts'
import { type PolicyObject, readPolicyObject } from './policy-object.ts'
import { joinPolicies, loadPolicies } from './policy-set.ts'

const SOCKET = 'production'

const cluster = (spec: object): PolicyObject => ({
  kind: 'ClusterPosternPolicy',
  namespace: '',
  name: 'team',
  content: { apiVersion: 'postern.dev/v1alpha1', kind: 'ClusterPosternPolicy', metadata: {}, status: {}, spec },
})
const namespaced = (spec: object): PolicyObject => ({ ...cluster(spec), kind: 'PosternPolicy', namespace: 'shop' })
const ana = { users: ['ana'] }

function decide(object: PolicyObject, asked: string, socket = SOCKET) {
  const reading = readPolicyObject(object, SOCKET)
  const policy = reading.policy ?? reading.denials
  const set = joinPolicies(loadPolicies([]), policy === null ? [] : [policy])
  const { effect, rule, location } = createAuthorizer(set).authorize({
    ...attributes(subject('ana'), request(asked)),
    socket,
  })
  return [effect, rule, location].filter((part) => part !== '').join(' ')
}

describe('a policy of the cluster scope', () => {
  it('says what a file could, and is called by its kind and name', () => {
    const object = cluster({ subjects: ana, rules: [{ verbs: ['get'], resources: ['pods'] }] })
    const rule = 'ClusterPosternPolicy/team#1 ClusterPosternPolicy/team: spec.rules[0]'
    expect(decide(object, 'get pods web -n other', 'elsewhere')).toBe(`allow ${rule}`)
    expect(decide(object, 'delete pods web -n other')).toBe('no-opinion')
  })

  it('keeps, when it has mistakes, no more of it than rules that deny and are right', () => {
    const object = cluster({
      subjects: ana,
      rules: [
        { verbs: ['*'], resources: ['*'] },
        { effect: 'deny', verbs: ['get'], resources: ['Secrets'] },
        { effect: 'deny', verbs: ['get'], resources: ['secrets'] },
        { verbs: ['get'], resources: ['pods'], except: { names: ['a'], resourceNames: ['b'] } },
      ],
    })
    expect(decide(object, 'get pods web -n default')).toBe('no-opinion')
    const denial = 'ClusterPosternPolicy/team#3 ClusterPosternPolicy/team: spec.rules[2]'
    expect(decide(object, 'get secrets db -n default')).toBe(`deny ${denial}`)
    expect(readPolicyObject(object, SOCKET).mistakes).toEqual([
      expect.stringContaining('spec.rules[1].resources[0]: is "Secrets", expected a plural'),
      expect.stringContaining('spec.rules[3].except.names: unknown key'),
    ])
  })

  it.each([
    ['denies under a condition that is none', { subjects: ana, conditions: { sourceIPs: ['x'] } }],
    ['denies nobody', { subjects: {} }],
  ])('denies nothing when it %s, for nobody knows whom it would', (_, spec) => {
    const object = cluster({ ...spec, rules: [{ effect: 'deny', verbs: ['get'], resources: ['secrets'] }] })
    expect(readPolicyObject(object, SOCKET)).toMatchObject({ policy: null, denials: null })
  })

  it.each([null, [], 'text', {}, { spec: null }, { spec: { rules: {} } }, { spec: { rules: [null, 1] } }])(
    'is refused when it holds %j',
    (content) => {
      const reading = readPolicyObject({ ...cluster({}), content }, SOCKET)
      expect(reading).toMatchObject({ policy: null, denials: null })
      expect(reading.mistakes.length).toBeGreaterThan(0)
    },
  )
})

describe('a policy of a namespace', () => {
  const all = namespaced({ subjects: ana, rules: [{ verbs: ['*'], resources: ['*', '*/*'] }] })

  it.each([
    ['get secrets db -n shop', 'allow'],
    ['create pods/exec web -n shop', 'allow'],
    ['get secrets db -n other', 'no-opinion'],
    ['list secrets', 'no-opinion'],
    ['get nodes n', 'no-opinion'],
    ['delete namespaces shop -n shop', 'no-opinion'],
    ['patch namespaces/finalize shop -n shop', 'no-opinion'],
    ['get /metrics', 'no-opinion'],
  ])('that allows everything decides %s: %s', (asked, effect) => {
    expect(decide(all, asked).split(' ')[0]).toBe(effect)
  })

  it('allows nothing on another socket', () => {
    expect(decide(all, 'get pods web -n shop', 'elsewhere')).toBe('no-opinion')
  })

  it('is called by its namespace too', () => {
    const rule = 'PosternPolicy/shop/team#1 PosternPolicy/shop/team: spec.rules[0]'
    expect(decide(all, 'get pods web -n shop')).toBe(`allow ${rule}`)
  })

  const allow = { verbs: ['get'], resources: ['pods'] }
  it.each([
    [
      'another namespace',
      { rules: [{ ...allow, namespaces: ['other'] }] },
      /^spec\.rules\[0\]\.namespaces: unknown key/,
    ],
    [
      'its own namespace',
      { rules: [{ ...allow, namespaces: ['shop'] }] },
      /^spec\.rules\[0\]\.namespaces: unknown key/,
    ],
    ['a socket', { sockets: ['other'], rules: [allow] }, /^spec\.sockets: unknown key/],
    ['a denial', { rules: [{ ...allow, effect: 'deny' }] }, /^spec\.rules\[0\]\.effect: unknown key/],
    [
      'a path',
      { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] },
      /^spec\.rules\[0\]\.nonResourceURLs: unknown/m,
    ],
    [
      'nodes',
      { rules: [{ ...allow, resources: ['pods', 'nodes/proxy'] }] },
      /^spec\.rules\[0\]\.resources\[1\]: lives outside/,
    ],
    [
      'cluster roles',
      { rules: [{ ...allow, apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'] }] },
      /^spec\.rules\[0\]\.resources\[0\]: lives outside namespaces, expected resources that live in namespaces$/,
    ],
  ])('is refused when it names %s', (_, spec, mistake) => {
    const { policy, mistakes } = readPolicyObject(namespaced({ subjects: ana, ...spec }), SOCKET)
    expect(policy).toBeNull()
    expect(mistakes.join('\n')).toMatch(mistake)
  })

  it('may name a kind that only shares its name with one outside namespaces', () => {
    const rules = [{ verbs: ['get'], resources: ['nodes'], apiGroups: ['example.com'] }]
    expect(readPolicyObject(namespaced({ subjects: ana, rules }), SOCKET).mistakes).toEqual([])
  })
})
