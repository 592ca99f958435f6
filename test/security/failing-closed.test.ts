import { once } from 'node:events'
import { mkdir, symlink } from 'node:fs/promises'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import { Enforcer } from 'casbin'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type App, createApp } from '../../src/app.ts'
import { loadConnectorConfig } from '../../src/config/load-connector-config.ts'
import {
  attackedGateway,
  EVERYTHING,
  FORBIDDEN,
  NAMESPACE,
  PROTOCOLS,
  type Refusal,
  SOCKET,
  UNAUTHORIZED,
} from '../support/attacked-gateway.ts'
import { exchangeStream } from '../support/raw-exchange.ts'
import {
  createOpener,
  type StagedSurroundings,
  stageSurroundings,
  startStagedGateway,
} from '../support/staged-gateway.ts'

// Attacks E25, H1.
//
// What cannot be decided is denied: without a policy for somebody, without the keys of an issuer, without a trail.

describe.each(PROTOCOLS)('over %s', (protocol) => {
  describe('with a policy for others', () => {
    const attacked = attackedGateway({ policy: EVERYTHING.replace('payments-dev', 'admins') })

    test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s is denied', async (method) => {
      for (const target of [`${NAMESPACE}/pods`, `${NAMESPACE}/pods/web`, `${SOCKET}/metrics`, `${SOCKET}/`]) {
        await attacked.expectRefused(await attacked.send(protocol, { method, target }), FORBIDDEN)
      }
    })

    test.each(['payments-dev', 'Admins', 'admins-x', 'admin', 'system:admins'])(
      'the group %s is not the one that is meant',
      async (group) => {
        const token = await attacked.gateway.issuer.sign({ groups: [group] })
        const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, token })
        await attacked.expectRefused(answer, group.startsWith('system:') ? UNAUTHORIZED : FORBIDDEN)
      },
    )
  })
})

describe('without the keys of the issuer', () => {
  const attacked = attackedGateway({
    policy: EVERYTHING,
    stage(_apiServer, issuer) {
      for (const path of ['/keys', '/.well-known/openid-configuration'])
        issuer.staged.set(path, (_request, response) => response.writeHead(500).end())
    },
  })
  const UNAVAILABLE: Refusal = { code: 503, reason: 'ServiceUnavailable' }

  test('nobody is let in', async () => {
    for (const protocol of PROTOCOLS) {
      const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods` })
      await attacked.expectRefused(answer, UNAVAILABLE)
    }
  })
})

describe('with an authorizer that throws', () => {
  const attacked = attackedGateway({ policy: EVERYTHING.replace('verbs: ["*"]', 'verbs: ["*", impersonate]') })
  const INTERNAL: Refusal = { code: 500, reason: 'InternalError', message: 'the gateway failed to handle the request' }

  // The fault is put into Casbin, so that everything of ours is as it runs.
  beforeEach(() => {
    Enforcer.prototype.enforceExSync = () => {
      throw new Error('casbin-is-broken')
    }
  })
  afterEach(() => {
    Reflect.deleteProperty(Enforcer.prototype, 'enforceExSync')
  })

  test.each(PROTOCOLS)('nothing is allowed over %s', async (protocol) => {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const answer = await attacked.send(protocol, { method, target: `${NAMESPACE}/pods/web` })
      const event = await attacked.expectRefused(answer, INTERNAL)
      expect(JSON.stringify([answer, event])).not.toContain('casbin')
    }
    expect(attacked.gateway.log.join('')).toContain('casbin-is-broken')
  })

  test('nor is a session, or another identity', async () => {
    const spdy = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
    const exec = attacked.head('POST', `${NAMESPACE}/pods/web/exec?command=id`, spdy)
    await attacked.expectRefused(await attacked.writeOnce(exec), INTERNAL)
    const lines = ['Impersonate-User: root']
    const assume = attacked.head('GET', `${NAMESPACE}/pods`, lines)
    await attacked.expectRefused(await attacked.writeForOne(assume), INTERNAL)
  })
})

describe('with a disk that takes no more of the trail', () => {
  let surroundings: StagedSurroundings
  let app: App
  let opener: ReturnType<typeof createOpener>
  const target = `${NAMESPACE}/pods`

  beforeAll(async () => {
    surroundings = await stageSurroundings({ policy: EVERYTHING, limits: { drainTimeout: '0s' } })
    await mkdir(`${surroundings.directory}/audit`)
    await symlink('/dev/full', `${surroundings.directory}/audit/audit.jsonl`)
    const config = await loadConnectorConfig(surroundings.document)
    app = await createApp(config, { log: pino({ level: 'silent' }) })
    await app.start()
    opener = createOpener(surroundings)
    // Whoever comes first may still be served: only the first write tells.
    const first = await opener.open(target)
    first.resume()
    const told = async (): Promise<void> => {
      const readiness = await fetch(`http://127.0.0.1:${surroundings.opsPort}/readyz?verbose`)
      expect(await readiness.text()).toContain('[-]audit failed')
    }
    await vi.waitFor(told, { timeout: 30_000, interval: 20 })
  })
  beforeEach(() => {
    surroundings.apiServer.seen.length = 0
  })
  afterAll(async () => {
    opener.agent.destroy()
    await expect(app.stop()).rejects.toThrow()
    await surroundings.stop()
  })

  function expectUnrecorded(body: string): void {
    const status = { kind: 'Status', status: 'Failure', reason: 'ServiceUnavailable', code: 503 }
    expect(JSON.parse(body)).toMatchObject(status)
    expect(body).toContain('the audit trail cannot be written')
    expect(surroundings.apiServer.seen).toEqual([])
  }

  test('no request is let through', async () => {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const answer = await opener.open(target, { method })
      expect(answer.statusCode).toBe(503)
      expectUnrecorded(await text(answer))
    }
  })

  test('none over HTTP/2 either', async () => {
    const session = connect(`https://127.0.0.1:${surroundings.port}`, { ca: surroundings.certificateAuthority })
    await once(session, 'connect')
    const headers = { ':path': target, authorization: `Bearer ${surroundings.token}` }
    const answer = await exchangeStream(session, headers)
    session.destroy()
    expect(answer).toMatchObject({ statusCode: 503 })
    expectUnrecorded('body' in answer ? answer.body : '')
  })

  test('and no session', async () => {
    const headers = { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': 'v4.channel.k8s.io' }
    const answer = await opener.open(`${NAMESPACE}/pods/web/exec?command=id`, { method: 'POST', headers })
    expect(answer.statusCode).toBe(503)
    expectUnrecorded(await text(answer))
  })
})

test.each([
  ['no policy', ''],
  ['a policy that is no YAML', 'a: [b'],
  ['a policy of an unknown version', EVERYTHING.replace('v1alpha1', 'v9')],
  ['a policy of an unknown kind', EVERYTHING.replace('kind: Policy', 'kind: Polity')],
  ['a key that nobody knows', EVERYTHING.replace('spec:', 'spec:\n  allowAll: true')],
  ['a rule without verbs', EVERYTHING.replace('verbs: ["*"], resources', 'resources')],
  ['a rule without resources', EVERYTHING.replace(', resources: ["*", "*/*"]', '')],
  ['an empty list of namespaces', EVERYTHING.replace('"*/*"]', '"*/*"], namespaces: []')],
  ['nobody for a subject', EVERYTHING.replace('{ groups: [payments-dev] }', '{}')],
  ['everybody for a subject', EVERYTHING.replace('[payments-dev]', '["*"]')],
])('with %s the connector does not start', async (_, policy) => {
  await expect(startStagedGateway({ policy })).rejects.toThrow()
})
