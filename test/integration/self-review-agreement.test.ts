import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

const SOCKET = '/sockets/production'
const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: everything }
spec:
  subjects: { groups: [payments-dev] }
  rules:
    - { verbs: [get, list, watch], resources: [pods, pods/log, deployments, widgets] }
    - { verbs: ['*'], resources: ['*', pods/exec], namespaces: [default, team-*] }
    - { verbs: [get, update], resources: [configmaps], resourceNames: [web-*] }
    - { verbs: [get], nonResourceURLs: [/metrics, /logs/*] }
    - { effect: deny, verbs: ['*'], resources: [secrets] }
    - { effect: deny, verbs: [delete], resources: [pods], resourceNames: [web-0] }
    - { verbs: [update, patch], resources: [services], namespaces: [payments] }
    - { verbs: [create, update], resources: [rolebindings, roles], namespaces: [payments, default] }
    - { verbs: [create], resources: [pods/attach], namespaces: [payments] }
    - { verbs: [get, delete], resources: [leases], except: { namespaces: [team-*] } }
    - { verbs: [get], resources: [pods/exec] }
    - { verbs: [bind], resources: [clusterroles] }
`

interface Tuple {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
}

const METHODS: Readonly<Record<string, string>> = {
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
}
const COLLECTION_VERBS = new Set(['list', 'watch', 'deletecollection'])

const tuples: fc.Arbitrary<Tuple> = fc
  .record({
    verb: fc.constantFrom('get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'),
    kind: fc.constantFrom(
      ['', 'pods', ''],
      ['', 'pods', 'log'],
      ['', 'pods', 'exec'],
      ['', 'pods', 'attach'],
      ['', 'services', ''],
      ['coordination.k8s.io', 'leases', ''],
      ['rbac.authorization.k8s.io', 'roles', ''],
      ['rbac.authorization.k8s.io', 'rolebindings', ''],
      ['', 'secrets', ''],
      ['', 'configmaps', ''],
      ['apps', 'deployments', ''],
      ['apps', 'deployments', 'scale'],
      ['example.com', 'widgets', ''],
    ),
    namespace: fc.constantFrom('', 'default', 'payments', 'team-a'),
    name: fc.constantFrom('web-0', 'web-1', 'db'),
  })
  .map(({ verb, kind: [group = '', resource = '', subresource = ''], namespace, name }) => {
    const nameless = COLLECTION_VERBS.has(verb) || (verb === 'create' && subresource === '')
    return { verb, group, resource, subresource, namespace, name: nameless ? '' : name }
  })
  .filter(({ subresource, name, namespace }) => subresource === '' || (name !== '' && namespace !== ''))
/** Of one namespace, or of a collection: of these a request and a review of the same words mean the same. */
const plainTuples = tuples.filter(({ verb, namespace }) => namespace !== '' || COLLECTION_VERBS.has(verb))

let gateway: StagedGateway

beforeAll(async () => {
  gateway = await startStagedGateway({ policy: POLICY })
})
afterAll(async () => {
  await gateway.stop()
})

/** What the gateway says that it would do. */
async function reviewed(spec: object): Promise<{ readonly allowed: boolean; readonly reason: string }> {
  const { statusCode, body } = await gateway.fetch(`${SOCKET}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', spec }),
  })
  expect(statusCode).toBe(201)
  return (JSON.parse(body) as { status: { allowed: boolean; reason: string } }).status
}

async function says(spec: object): Promise<boolean> {
  return (await reviewed(spec)).allowed
}

/** Whether it then does; what it denies, the API server does not see. */
async function does(method: string, path: string): Promise<boolean> {
  gateway.apiServer.seen.length = 0
  const { statusCode } = await gateway.fetch(`${SOCKET}${path}`, { method })
  expect([200, 403]).toContain(statusCode)
  expect(gateway.apiServer.seen).toHaveLength(statusCode === 403 ? 0 : 1)
  return statusCode !== 403
}

function pathOf({ verb, group, resource, subresource, namespace, name }: Tuple): string {
  const parts = [
    group === '' ? 'api' : `apis/${group}`,
    'v1',
    ...(namespace === '' ? [] : ['namespaces', namespace]),
    resource,
    ...(name === '' ? [] : [name]),
    ...(subresource === '' ? [] : [subresource]),
  ]
  return `/${parts.join('/')}${verb === 'watch' ? '?watch=true' : ''}`
}

describe('kubectl auth can-i', () => {
  it('agrees with what the gateway then does, over hundreds of requests', async () => {
    await fc.assert(
      fc.asyncProperty(plainTuples, async (tuple) => {
        const { group, resource, subresource, verb, namespace, name } = tuple
        const attributes = { group, resource, subresource, verb, namespace, name }
        const method = METHODS[verb] ?? 'GET'
        expect(await does(method, pathOf(tuple))).toBe(await says({ resourceAttributes: attributes }))
      }),
      { numRuns: 400 },
    )
  })

  it('never says yes of all names or namespaces where one is denied', async () => {
    const everywhere = ['default', 'payments', 'team-a']
    await fc.assert(
      fc.asyncProperty(tuples, fc.boolean(), fc.boolean(), async (tuple, allNames, allNamespaces) => {
        const { group, resource, subresource, verb } = tuple
        const namespace = allNamespaces ? '' : tuple.namespace
        const name = allNames ? '' : tuple.name
        if (!(await says({ resourceAttributes: { group, resource, subresource, verb, namespace, name } }))) return
        for (const one of namespace === '' ? everywhere : [namespace]) {
          for (const other of allNames && tuple.name !== '' ? ['web-0', 'db'] : [tuple.name]) {
            expect(await does(METHODS[verb] ?? 'GET', pathOf({ ...tuple, namespace: one, name: other }))).toBe(true)
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  it.each<[spec: object, allowed: boolean, reason: RegExp]>([
    [{ verb: 'get', resource: 'pods', subresource: 'exec', namespace: 'default' }, true, /everything#2/],
    [{ verb: 'get', resource: 'pods', subresource: 'exec', namespace: 'payments' }, false, /create/],
    [{ verb: 'delete', resource: 'secrets' }, false, /everything#5/],
    [{ verb: 'get', group: 'coordination.k8s.io', resource: 'leases' }, false, /no rule allows it/],
    [{ verb: 'get', group: 'coordination.k8s.io', resource: 'leases', namespace: 'payments' }, true, /everything#10/],
    [
      { verb: 'update', resource: 'services', namespace: 'payments', name: 'web' },
      false,
      /^it needs create services web in payments too: no rule allows it/,
    ],
  ])('of %j says %j', async (resourceAttributes, allowed, reason) => {
    const status = await reviewed({ resourceAttributes })
    expect(status.allowed).toBe(allowed)
    expect(status.reason).toMatch(reason)
    expect(status.reason).not.toContain('["/"]')
  })

  it.each(['/metrics', '/metrics/cadvisor', '/logs/a', '/version', '/api', '/configz'])(
    'agrees about %s',
    async (path) => {
      expect(await does('GET', path)).toBe(await says({ nonResourceAttributes: { path, verb: 'get' } }))
    },
  )
})

describe('a self review', () => {
  const post = async (path: string, body: object): Promise<{ code: number }> => {
    const headers = { 'Content-Type': 'application/json' }
    const options = { method: 'POST', headers, body: JSON.stringify(body) }
    const { statusCode } = await gateway.fetch(`${SOCKET}/apis/${path}`, options)
    return { code: statusCode }
  }
  const ACCESS = 'authorization.k8s.io/v1/selfsubjectaccessreviews'
  const spec = { nonResourceAttributes: { path: '/metrics', verb: 'get' } }

  it.each([
    ['without kind and version', { spec }],
    ['with null for the attributes that it has not', { spec: { ...spec, resourceAttributes: null } }],
  ])('%s is answered', async (_, body) => {
    expect(await post(ACCESS, body)).toMatchObject({ code: 201 })
  })

  it.each([
    ['of another kind', ACCESS, { kind: 'SubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', spec }, 400],
    ['of another version than its path', ACCESS, { apiVersion: 'authorization.k8s.io/v1beta1', spec }, 400],
    ['of a version that there is not', 'authorization.k8s.io/v9/selfsubjectaccessreviews', { spec }, 404],
    ['with both attributes', ACCESS, { spec: { ...spec, resourceAttributes: { verb: 'get' } } }, 422],
  ])('%s is refused, and not forwarded', async (_, path, body, code) => {
    gateway.apiServer.seen.length = 0
    expect(await post(path, body)).toMatchObject({ code })
    expect(gateway.apiServer.seen).toEqual([])
  })
})
