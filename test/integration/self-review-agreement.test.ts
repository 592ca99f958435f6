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
const NAMELESS = new Set(['list', 'watch', 'deletecollection'])

const tuples: fc.Arbitrary<Tuple> = fc
  .record({
    verb: fc.constantFrom('get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'),
    kind: fc.constantFrom(
      ['', 'pods', ''],
      ['', 'pods', 'log'],
      ['', 'pods', 'exec'],
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
    const nameless = NAMELESS.has(verb) || (verb === 'create' && subresource === '')
    return { verb, group, resource, subresource, namespace, name: nameless ? '' : name }
  })
  .filter(({ subresource, name, namespace }) => subresource === '' || (name !== '' && namespace !== ''))

let gateway: StagedGateway

beforeAll(async () => {
  gateway = await startStagedGateway({ policy: POLICY })
})
afterAll(async () => {
  await gateway.stop()
})

/** Whether the gateway says that it would. */
async function says(spec: object): Promise<boolean> {
  const { statusCode, body } = await gateway.fetch(`${SOCKET}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', spec }),
  })
  expect(statusCode).toBe(201)
  return (JSON.parse(body) as { status: { allowed: boolean } }).status.allowed
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
      fc.asyncProperty(tuples, async (tuple) => {
        const { group, resource, subresource, verb, namespace, name } = tuple
        const attributes = { group, resource, subresource, verb, namespace, name }
        const method = METHODS[verb] ?? 'GET'
        expect(await does(method, pathOf(tuple))).toBe(await says({ resourceAttributes: attributes }))
      }),
      { numRuns: 400 },
    )
  })

  it.each(['/metrics', '/metrics/cadvisor', '/logs/a', '/version', '/api', '/configz'])(
    'agrees about %s',
    async (path) => {
      expect(await does('GET', path)).toBe(await says({ nonResourceAttributes: { path, verb: 'get' } }))
    },
  )
})
