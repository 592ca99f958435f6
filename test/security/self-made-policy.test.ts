import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'
import { StagedPolicyObjects } from '../support/staged-policy-objects.ts'

// Attack H12.

const API = '/sockets/production/apis/postern.dev/v1alpha1'
const IN_SHOP = `${API}/namespaces/shop/posternpolicies`
const EVERYBODY = { groups: ['system:authenticated'] }
const ALL = { verbs: ['*'], resources: ['*', '*/*'] }

let gateway: StagedGateway
let server: StagedPolicyObjects

beforeAll(async () => {
  gateway = await startStagedGateway({
    adjust: (document) => ({ ...document, policyObjects: { socket: 'production', namespaced: true } }),
    otherSockets: [{ name: 'other', token: 'token-of-the-other' }],
    stage(apiServer) {
      server = new StagedPolicyObjects(apiServer)
      server.put('mine', { subjects: EVERYBODY, rules: [ALL] }, 'shop')
      server.put('elsewhere', { subjects: EVERYBODY, rules: [{ ...ALL, namespaces: ['bank'] }] }, 'shop')
      server.put('everywhere', { subjects: EVERYBODY, rules: [{ ...ALL, namespaces: ['*'] }] }, 'shop')
      server.put('cluster', { subjects: EVERYBODY, rules: [{ verbs: ['*'], resources: ['nodes/proxy'] }] }, 'shop')
      server.put('paths', { subjects: EVERYBODY, rules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }, 'shop')
      server.put('sockets', { sockets: ['*'], subjects: EVERYBODY, rules: [ALL] }, 'shop')
      server.put('denies', { subjects: EVERYBODY, rules: [{ ...ALL, effect: 'deny' }] }, 'shop')
    },
  })
  const allowed = '/sockets/production/api/v1/namespaces/shop/secrets'
  await vi.waitFor(
    async () => {
      expect(await code(allowed)).toBe(200)
    },
    { timeout: 30_000 },
  )
})
afterAll(() => gateway.stop())

const code = async (path: string, method = 'GET'): Promise<number> => (await gateway.fetch(path, { method })).statusCode

/** What reached the API server, but for what the connector asks for itself. */
const reached = (): string[] =>
  gateway.apiServer.seen
    .filter(({ method, target }) => method !== 'PATCH' && !/^\/apis\/postern\.dev\/v1alpha1\/[a-z]+\?/.test(target))
    .map(({ method, target }) => `${method} ${target}`)

describe('a policy of a namespace', () => {
  it.each([
    ['GET', '/sockets/production/api/v1/namespaces/bank/secrets'],
    ['GET', '/sockets/production/api/v1/secrets'],
    ['GET', '/sockets/production/api/v1/nodes/n/proxy/logs'],
    ['PATCH', '/sockets/production/api/v1/namespaces/shop'],
    ['DELETE', '/sockets/production/api/v1/namespaces/shop'],
    ['PUT', '/sockets/production/api/v1/namespaces/shop/finalize'],
    ['GET', '/sockets/production/metrics'],
    ['GET', '/sockets/other/api/v1/namespaces/shop/secrets'],
    ['GET', `${API}/clusterposternpolicies`],
  ])('does not allow %s %s', async (method, path) => {
    const before = reached()
    expect(await code(path, method)).toBe(403)
    expect(reached()).toEqual(before)
  })

  it('denies nothing to anybody', async () => {
    expect(await code('/sockets/production/api/v1/pods')).toBe(200)
  })
})

describe('somebody who may do everything in a namespace', () => {
  it.each([
    ['POST', IN_SHOP],
    ['PUT', `${IN_SHOP}/mine`],
    ['PATCH', `${IN_SHOP}/mine`],
    ['DELETE', `${IN_SHOP}/mine`],
    ['DELETE', IN_SHOP],
  ])('makes, changes or removes no policy there: %s %s', async (method, path) => {
    const before = reached()
    const { statusCode, body } = await gateway.fetch(path, { method })
    expect([statusCode, body]).toEqual([403, expect.stringContaining('cannot escalate resource')])
    expect(reached()).toEqual(before)
  })

  it('may read them', async () => {
    expect(await code(IN_SHOP)).toBe(200)
  })
})
