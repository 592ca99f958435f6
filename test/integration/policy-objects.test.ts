import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { createLaptop } from '../support/postern-command.ts'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'
import { CLUSTER_POLICIES, StagedPolicyObjects } from '../support/staged-policy-objects.ts'

// Attack H12.

const SERVICES = '/sockets/production/api/v1/namespaces/shop/services'
const SECRETS = '/sockets/production/api/v1/namespaces/default/secrets'

const reader = (resource: string) => ({
  subjects: { users: ['ana@example.com'] },
  rules: [{ verbs: ['get', 'list', 'watch'], resources: [resource] }],
})
const denial = (resource: string) => ({
  subjects: { users: ['ana@example.com'] },
  rules: [{ effect: 'deny', verbs: ['*'], resources: [resource] }],
})

const running: StagedGateway[] = []
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop()
})

interface Staged {
  readonly gateway: StagedGateway
  readonly server: StagedPolicyObjects
  readonly code: (path: string) => Promise<number>
  /** What `/readyz?verbose` says of the objects. */
  readonly check: () => Promise<string>
}

async function start(prepare: (server: StagedPolicyObjects) => void): Promise<Staged> {
  const prepared: StagedPolicyObjects[] = []
  const gateway = await startStagedGateway({
    adjust: (document) => ({ ...document, policyObjects: { socket: 'production' } }),
    stage(apiServer) {
      const server = new StagedPolicyObjects(apiServer)
      prepare(server)
      prepared.push(server)
    },
  })
  running.push(gateway)
  const [server] = prepared
  if (server === undefined) throw new TypeError('nothing was staged')
  return {
    gateway,
    server,
    code: async (path) => (await gateway.fetch(path)).statusCode,
    check: async () => {
      const text = await (await fetch(`http://127.0.0.1:${gateway.opsPort}/readyz?verbose`)).text()
      return text.split('\n').find((line) => line.includes('policy-objects')) ?? ''
    },
  }
}

/** Once this holds, the objects were read and are watched. */
const ready = (staged: Staged) => expect.poll(staged.check).toBe('[+]policy-objects ok')

describe('policies that are Kubernetes objects', () => {
  it('count beside those of files, from the first list, over several pages, and from each change on', async () => {
    const staged = await start((server) => {
      for (let i = 0; i < 45; i += 1) server.put(`p${i}`, reader(`things${i}`))
      server.put('services', reader('services'))
    })
    const { server, code, gateway } = staged
    await ready(staged)
    expect(server.lists).toHaveLength(3)
    expect(await code(SERVICES)).toBe(200)
    expect(await code(SECRETS)).toBe(200)
    server.put('no-secrets', denial('secrets'))
    await expect.poll(() => code(SECRETS)).toBe(403)
    const refusal = await gateway.fetch(SECRETS)
    expect(refusal.body).toContain('ClusterPosternPolicy/no-secrets#1')
    const rulesInTrail = async () => (await gateway.events()).map(({ annotations }) => annotations['postern.dev/rule'])
    await expect.poll(rulesInTrail).toContain('ClusterPosternPolicy/no-secrets#1')
    server.remove('no-secrets')
    await expect.poll(() => code(SECRETS)).toBe(200)
  })

  it('end what they no longer allow', async () => {
    const staged = await start((server) => {
      server.put('services', reader('services'))
    })
    const { server, gateway } = staged
    await ready(staged)
    const { fault } = server
    server.fault = (target, response) => {
      if (!target.startsWith('/api/v1/')) return fault(target, response)
      response.writeHead(200).flushHeaders()
      return true
    }
    const watch = await gateway.open(`${SERVICES}?watch=1`)
    expect(watch.statusCode).toBe(200)
    const ended = once(watch.resume(), 'end')
    server.remove('services')
    await ended
  })

  it('are told in their status what became of them, once', async () => {
    const staged = await start((server) => {
      server.put('good', reader('services'))
      server.put('bad', { ...reader('services'), subjects: {} })
    })
    const { server, gateway } = staged
    await expect.poll(() => server.patches.length).toBe(2)
    const [bad] = server.patches.filter(({ target }) => target === `${CLUSTER_POLICIES}/bad/status`)
    expect(bad?.body).toMatchObject({
      metadata: { uid: 'uid-of-bad' },
      status: {
        conditions: [
          {
            type: 'Accepted',
            status: 'False',
            reason: 'Invalid',
            observedGeneration: 1,
            message: expect.stringMatching(/^spec\.subjects: names nobody, expected a group or a user/) as unknown,
          },
        ],
      },
    })
    expect(await staged.code(SERVICES)).toBe(200)
    expect(await staged.check()).toMatch(/ok, but 1 are not accepted.*ClusterPosternPolicy\/bad: spec\.subjects: names/)
    expect(gateway.log.join('')).toContain('policy.object.refused')
    server.put('bad', reader('services'))
    await expect.poll(() => server.patches.length).toBe(3)
    expect(JSON.stringify(server.patches[2]?.body)).toContain('"status":"True"')
    server.breakWatches()
    await expect.poll(() => [server.lists.length, server.watches.length]).toEqual([2, 1])
    server.put('another', reader('pods'))
    await expect.poll(() => server.patches.length).toBe(4)
  })

  it('keep what they said when they are changed for the worse', async () => {
    const staged = await start((server) => {
      server.put('services', reader('services'))
      server.put('no-secrets', denial('secrets'))
    })
    const { server, code } = staged
    await ready(staged)
    server.put('services', { ...reader('services'), sockets: [] })
    server.put('no-secrets', { ...denial('secrets'), rule: [] })
    await expect.poll(staged.check).toMatch(/2 are not accepted/)
    expect([await code(SERVICES), await code(SECRETS)]).toEqual([200, 403])
    server.put('third', reader('nodes'))
    await expect.poll(() => code('/sockets/production/api/v1/nodes/n')).toBe(200)
  })

  it('let nothing through until they were read once, since they may deny it', async () => {
    const staged = await start((server) => {
      server.put('no-secrets', denial('secrets'))
      server.fault = (target, response) => {
        if (!target.startsWith(CLUSTER_POLICIES)) return false
        response.writeHead(403, { 'Content-Type': 'application/json' }).end('{"message":"no right to list"}')
        return true
      }
    })
    const { server, code, gateway } = staged
    await expect.poll(staged.check).toMatch(/^\[-\]policy-objects failed: not read since .* no right to list/)
    const refusal = await gateway.fetch(SECRETS)
    expect(refusal.statusCode).toBe(503)
    expect(refusal.body).toContain('not all policies are known yet')
    expect(refusal.body).not.toContain('no right to list')
    expect(await code('/sockets/production/version')).toBe(503)
    expect(gateway.apiServer.seen.filter(({ target }) => !target.startsWith(CLUSTER_POLICIES))).toEqual([])
    server.fault = () => false
    await expect.poll(() => code(SECRETS)).toBe(403)
    expect(gateway.apiServer.seen.some(({ target }) => target.startsWith('/api/'))).toBe(false)
    await ready(staged)
  })

  it('stay what they were while the API server is away, which is said everywhere', async () => {
    const staged = await start((server) => {
      server.put('services', reader('services'))
      server.put('no-secrets', denial('secrets'))
    })
    const { server, gateway } = staged
    await ready(staged)
    server.fault = (target, response) => {
      if (target.startsWith(CLUSTER_POLICIES)) response.destroy()
      return target.startsWith(CLUSTER_POLICIES)
    }
    server.breakWatches()
    await expect.poll(staged.check).toMatch(/^\[\+\]policy-objects ok, but not read since 2.*Z: /)
    expect([await staged.code(SERVICES), await staged.code(SECRETS)]).toEqual([200, 403])
    const metrics = await (await fetch(`http://127.0.0.1:${gateway.opsPort}/metrics`)).text()
    expect(metrics).toContain('postern_policy_objects_stale 1')
    expect(metrics).toContain('postern_policy_objects{accepted="true"} 2')
    expect(gateway.log.join('')).toContain('policy.objects.stale')
    const laptop = createLaptop()
    const status = await laptop.run(['policy', 'status', '--ops', `http://127.0.0.1:${gateway.opsPort}`])
    laptop.dispose()
    expect(status.exitCode).toBe(1)
    expect(status.stdout).toMatch(/^objects: {2}2 in the cluster of socket production\nstale: {4}since 2.*Z: /m)
    server.fault = () => false
    server.remove('no-secrets')
    await expect.poll(() => staged.code(SECRETS)).toBe(200)
    await ready(staged)
  })

  const faults: [string, (server: StagedPolicyObjects) => void][] = [
    [
      'ends without a word',
      (server) => {
        server.breakWatches()
      },
    ],
    [
      'says that it is too old',
      (server) => {
        server.say('{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n')
      },
    ],
    [
      'says that it failed',
      (server) => {
        server.say('{"type":"ERROR","object":{"kind":"Status","code":500}}\n')
      },
    ],
    [
      'sends what is no JSON',
      (server) => {
        server.say('\u0000\u0001garbage\n')
      },
    ],
    [
      'sends an event of no kind',
      (server) => {
        server.say('{"type":"SURPRISE","object":{"metadata":{}}}\n')
      },
    ],
    [
      'sends an object without a name',
      (server) => {
        server.say('{"type":"ADDED","object":{"metadata":{}}}\n')
      },
    ],
    [
      'sends nothing but nulls',
      (server) => {
        server.say('null\n')
      },
    ],
    [
      'sends a line without end',
      (server) => {
        server.say('x'.repeat(5 * 1024 * 1024))
      },
    ],
  ]
  it.each(faults)('are read anew when the watch %s, with what changed meanwhile', async (_, fault) => {
    const staged = await start((server) => {
      server.put('services', reader('services'))
      server.put('no-secrets', denial('secrets'))
    })
    const { server } = staged
    await ready(staged)
    expect([await staged.code(SERVICES), await staged.code(SECRETS)]).toEqual([200, 403])
    const watches = server.watches.splice(0)
    server.remove('services')
    server.watches.push(...watches)
    fault(server)
    await expect.poll(() => staged.code(SERVICES)).toBe(403)
    expect(await staged.code(SECRETS)).toBe(403)
    expect(server.lists.length).toBeGreaterThan(1)
    await ready(staged)
  })

  it('are read anew when a list or a watch is answered 410, without a hot loop', async () => {
    let gone = 0
    const staged = await start((server) => {
      server.put('services', reader('services'))
      server.fault = (target, response) => {
        if (!target.includes('watch=1') || gone === 3) return false
        gone += 1
        response.writeHead(410).end('{}')
        return true
      }
    })
    await ready(staged)
    await expect.poll(() => staged.server.watches.length).toBe(1)
    expect([gone, staged.server.lists.length]).toEqual([3, 4])
    expect(await staged.code(SERVICES)).toBe(200)
  })

  const named = (metadata: object) =>
    JSON.stringify({ items: [{ metadata, spec: reader('secrets') }], metadata: { resourceVersion: '1' } })
  const many = Array.from({ length: 2_001 }, (_, i) => ({
    metadata: { name: `p${i}`, uid: 'u', resourceVersion: '1' },
  }))
  it.each([
    ['is HTML', '<html>', 'did not answer with a list'],
    ['is null', 'null', 'did not answer with a list'],
    ['has no items', '{"items":{},"metadata":{}}', 'did not answer with a list'],
    ['has no version', '{"items":[],"metadata":{}}', 'no version'],
    ['holds what is no object', named({}), 'did not answer with an object'],
    ['holds a wildcard', named({ name: 'a', namespace: '*', uid: 'u', resourceVersion: '1' }), 'with an object'],
    ['holds a path', named({ name: '../a', uid: 'u', resourceVersion: '1' }), 'with an object'],
    ['is too long', JSON.stringify({ items: many, metadata: { resourceVersion: '1' } }), 'more than 2000 objects'],
  ])('let nothing through when a list %s', async (_, list, problem) => {
    const staged = await start((server) => {
      server.fault = (target, response) => {
        if (!target.startsWith(CLUSTER_POLICIES)) return false
        response.writeHead(200).end(list)
        return true
      }
    })
    await expect.poll(staged.check).toContain(problem)
    expect(await staged.code(SECRETS)).toBe(503)
  })

  it('that cannot be told in their status count all the same, and it is said once', async () => {
    let refused = 0
    const staged = await start((server) => {
      server.put('services', reader('services'))
      server.fault = (target, response) => {
        if (!target.includes('/status')) return false
        refused += 1
        response.writeHead(403).end('{"message":"no right to patch"}')
        return true
      }
    })
    await ready(staged)
    expect(await staged.code(SERVICES)).toBe(200)
    await expect.poll(() => staged.gateway.log.join('')).toContain('policy.objects.conditions.unwritten')
    expect(refused).toBe(1)
  })
})
