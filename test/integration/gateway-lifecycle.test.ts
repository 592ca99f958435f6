import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { type Socket, connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { keepRecordings } from '../support/kept-recordings.ts'
import { finishedManifest, newManifest } from '../support/recordings.ts'
import {
  STAGED_POLICY,
  type StagedGateway,
  type StagedGatewayOptions,
  startStagedGateway,
} from '../support/staged-gateway.ts'
import { type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

const PODS = '/sockets/production/api/v1/namespaces/default/pods'

async function withGateway(
  options: Parameters<typeof startStagedGateway>[0],
  act: (gateway: StagedGateway) => Promise<void>,
): Promise<void> {
  const gateway = await startStagedGateway(options)
  try {
    await act(gateway)
  } finally {
    await gateway.stop()
  }
}

async function ops(gateway: StagedGateway, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${gateway.opsPort}${path}`)
  return { status: response.status, text: await response.text() }
}

/** What a stop that nothing holds up may take, on any machine. */
const AT_MOST_MS = 15_000

/** How long it takes, in milliseconds. */
async function timed(act: () => Promise<void>): Promise<number> {
  const begunAtMs = performance.now()
  await act()
  return performance.now() - begunAtMs
}

/** A connection that has said no more than this. */
async function openTcp(port: number, said = ''): Promise<Socket> {
  const connection = connectTcp({ host: '127.0.0.1', port }).on('error', () => undefined)
  await once(connection, 'connect')
  connection.write(said)
  return connection
}

/** The same over TLS, to the portal. */
async function openTls({ portalPort, certificateAuthority }: StagedGateway, said = ''): Promise<Socket> {
  const connection = connectTls({ host: '127.0.0.1', port: portalPort, ca: certificateAuthority })
  connection.on('error', () => undefined)
  await once(connection, 'secureConnect')
  connection.write(said)
  return connection
}

/** More than sockets hold by themselves. */
function longRecording() {
  const line = 'x'.repeat(1_000)
  const lines = Array.from({ length: 20_000 }, (_, i) => [i / 1_000, 'o', line] as const)
  return { manifest: finishedManifest(newManifest()), lines: [...lines, [20, 'o', 'the last line'] as const] }
}

describe('a connector that is told to stop', () => {
  it('lets a request under way finish, ends watches cleanly, and takes no more', async () => {
    await withGateway({}, async (gateway) => {
      const slow: ServerResponse[] = []
      gateway.apiServer.onRequest = (request, response) => {
        if (request.url?.includes('watch') === true) response.writeHead(200).flushHeaders()
        else slow.push(response.writeHead(200))
      }
      const watch = await gateway.open(`${PODS}?watch=1`)
      const answer = gateway.fetch(PODS)
      await expect.poll(() => slow.length).toBe(1)
      const stopped = gateway.app.stop()
      await once(watch.resume(), 'end')
      expect(watch.complete).toBe(true)
      slow[0]?.end('whole')
      expect((await answer).body).toBe('whole')
      await stopped
      await expect(gateway.fetch(PODS)).rejects.toThrow(/ECONNREFUSED/)
    })
  })

  it('cuts off what does not end in time', async () => {
    await withGateway({ limits: { drainTimeout: '0s' } }, async (gateway) => {
      gateway.apiServer.onRequest = (_request, response) => {
        response.writeHead(200).write('half')
      }
      const answer = gateway.fetch(`${PODS}/web/log?follow=true`)
      await expect.poll(() => gateway.apiServer.seen.length).toBe(1)
      await Promise.all([expect(answer).rejects.toThrow(), gateway.app.stop()])
      expect(gateway.apiServer.openConnections).toBe(0)
    })
  })

  it('says over HTTP/2 why it cuts off what is left, resets nothing, and calls it no failure', async () => {
    await withGateway({ limits: { drainTimeout: '0s' } }, async (gateway) => {
      gateway.apiServer.onRequest = (_request, response) => {
        response.writeHead(200).write('half')
      }
      const session = gateway.http2()
      const told: unknown[] = []
      session.on('goaway', (_code: number, last: number, why?: Buffer) => told.push({ last, why: String(why ?? '') }))
      const log = session.request({ ':path': `${PODS}/web/log?follow=true`, authorization: `Bearer ${gateway.token}` })
      log.on('error', () => undefined)
      await once(log, 'data')
      const closed = once(log, 'close')
      await gateway.app.stop()
      await closed
      // Requests behind this one, which nobody looks at any more, are the client's to send again.
      expect(told[0]).toEqual({ last: log.id, why: 'the connector stops; run the command again to go on' })
      expect(log.rstCode).not.toBe(constants.NGHTTP2_INTERNAL_ERROR)
      expect(gateway.log.join('')).not.toContain('request.failed')
      expect((await gateway.events()).at(-1)?.responseStatus).toMatchObject({
        code: 200,
        message: 'the response was broken off: the connector stops; run the command again to go on',
      })
    })
  })

  it('serves what a connection was opened for that was still being made', async () => {
    await withGateway({}, async (gateway) => {
      const ca = gateway.certificateAuthority
      const connections = await Promise.all(
        ['h2', 'http/1.1'].map(async (protocol) => {
          const connection = connectTcp({ host: '127.0.0.1', port: gateway.port })
          await once(connection, 'connect')
          return { protocol, connection }
        }),
      )
      // The listener has taken both, since it serves who came later.
      expect((await gateway.fetch(PODS)).statusCode).toBe(200)
      const stopped = gateway.app.stop()
      const [http2, http1] = connections.map(({ protocol, connection }) =>
        connectTls({ socket: connection, host: '127.0.0.1', ca, ALPNProtocols: [protocol] }),
      )
      if (http1 === undefined || http2 === undefined) throw new Error('there are two connections')
      const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { createConnection: () => http2 })
      const request = session.request({ ':path': PODS, authorization: `Bearer ${gateway.token}` })
      const [headers] = (await once(request, 'response')) as [{ ':status': number }]
      expect(headers[':status']).toBe(200)
      http1.write(`GET ${PODS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.token}\r\n\r\n`)
      expect(String((await once(http1, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n/)
      http1.destroy()
      session.destroy()
      await stopped
    })
  })

  it('is not held up by clients of the portal and of the ops listener that say nothing, or half of it', async () => {
    await withGateway({ limits: { drainTimeout: '0s' } }, async (gateway) => {
      const silent = await Promise.all([
        openTcp(gateway.portalPort),
        openTls(gateway),
        openTls(gateway, 'GET /readyz HTTP/1.1\r\nHost: x'),
        openTcp(gateway.opsPort),
        openTcp(gateway.opsPort, 'GET /readyz HTTP/1.1\r\nHost: x'),
      ])
      const closed = silent.map((connection) => once(connection.resume(), 'close'))
      expect(await timed(() => gateway.app.stop())).toBeLessThan(AT_MOST_MS)
      await Promise.all(closed)
    })
  })

  it('answers the portal’s client that was still about to ask', async () => {
    await withGateway({}, async (gateway) => {
      const connection = await openTls(gateway)
      const stopped = gateway.app.stop()
      connection.write('GET /.well-known/postern HTTP/1.1\r\nHost: x\r\n\r\n')
      const [answer] = await Promise.all([textOf(connection), stopped])
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n[^]*"issuers"/)
    })
  })

  it.each([
    ['lets a download from the portal finish', '60s', true],
    ['cuts off a download from the portal that is not read, and says so in the trail', '0s', false],
  ])('%s', async (_what, drainTimeout, read) => {
    const { manifest, lines } = longRecording()
    const prepare = (directory: string): Promise<void> =>
      keepRecordings(join(directory, 'recordings'), null, [{ manifest, events: lines }])
    const recordings = { store: { directory: 'recordings' } }
    await withGateway({ limits: { drainTimeout }, recordings, prepare }, async (gateway) => {
      const connection = await openTls(gateway)
      const path = `/apis/postern.dev/v1alpha1/recordings/${manifest.session.id}/cast`
      connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.token}\r\n\r\n`)
      await once(connection, 'readable')
      const begunAtMs = performance.now()
      const stopped = gateway.app.stop()
      if (read) expect(await textOf(connection)).toContain('the last line')
      await stopped
      expect(performance.now() - begunAtMs).toBeLessThan(AT_MOST_MS)
      expect((await gateway.events()).at(-1)).toMatchObject({
        requestURI: path,
        stage: 'ResponseComplete',
        responseStatus: { code: 200 },
      })
      expect(gateway.log.join('')).not.toContain('portal.failed')
      connection.destroy()
    })
  })

  it('leaves no handle open', async () => {
    const before = process.getActiveResourcesInfo().length
    await withGateway({}, async (gateway) => {
      await gateway.fetch(PODS)
    })
    await expect.poll(() => process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before)
  })
})

describe('the ops listener', () => {
  it('is live and ready, says what it checked, and counts', async () => {
    await withGateway({}, async (gateway) => {
      expect(await ops(gateway, '/livez')).toEqual({ status: 200, text: 'ok\n' })
      await expect.poll(async () => (await ops(gateway, '/readyz')).status).toBe(200)
      const checks = (await ops(gateway, '/readyz?verbose')).text.split('\n')
      for (const name of [
        'shutdown',
        'audit',
        'policy',
        'certificate/kubernetes',
        'certificate/portal',
        'socket/production',
      ])
        expect(checks).toContain(`[+]${name} ok`)
      expect(checks).toContainEqual(expect.stringMatching(/^\[\+\]issuer\/https:\S+ ok$/))
      expect(checks.slice(-2)).toEqual(['readyz check passed', ''])
      await gateway.fetch(PODS)
      await gateway.fetch('/sockets/production/api/v1/secrets')
      const { text } = await ops(gateway, '/metrics')
      expect(text).toContain('postern_requests_total{socket="production",verb="list",code="200",decision="allow"} 1')
      expect(text).toContain(
        'postern_requests_total{socket="production",verb="list",code="403",decision="no-opinion"} 1',
      )
      expect((await ops(gateway, '/')).status).toBe(404)
    })
  })

  it('is not ready without its API server, says why, and the connector recovers', async () => {
    await withGateway({}, async (gateway) => {
      const { server } = gateway.apiServer
      const address = server.address()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      const { statusCode, body } = await gateway.fetch(PODS)
      expect(statusCode).toBe(503)
      expect(JSON.parse(body)).toMatchObject({ kind: 'Status', reason: 'ServiceUnavailable' })
      expect(body).not.toContain('ECONNREFUSED')
      expect(gateway.log.join('')).toContain('ECONNREFUSED')
      if (address !== null && typeof address === 'object') server.listen(address.port, '127.0.0.1')
      await expect.poll(async () => (await gateway.fetch(PODS)).statusCode).toBe(200)
    })
  })
})

describe('a socket whose API server no longer takes the credential', () => {
  it('says so in one line soon after a request has met it', async () => {
    await withGateway({}, async (gateway) => {
      await expect.poll(async () => (await ops(gateway, '/readyz')).status).toBe(200)
      const { server } = gateway.apiServer
      server.removeAllListeners('request').on('request', (_request, response: ServerResponse) => {
        response.writeHead(401).end()
      })
      expect((await gateway.fetch(PODS)).statusCode).toBe(502)
      await expect
        .poll(async () => (await ops(gateway, '/readyz')).text)
        .toMatch(/\[-\]socket\/production failed: the API server .* does not accept the credential .* answered 401\n/)
      const told = gateway.log.filter((line) => line.includes('socket.readiness') && line.includes('answered 401'))
      expect(told).toHaveLength(1)
    })
  })
})

describe('two connectors in one process', () => {
  it('do not know of each other', async () => {
    const empty = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: nothing }
spec: { subjects: { users: [nobody@example.com] }, rules: [{ verbs: [get], resources: [pods] }] }
`
    await withGateway({ policy: STAGED_POLICY }, (first) =>
      withGateway({ policy: empty }, async (second) => {
        expect((await first.fetch(PODS)).statusCode).toBe(200)
        expect((await second.fetch(PODS)).statusCode).toBe(403)
        const foreign = { Authorization: `Bearer ${first.token}` }
        expect((await second.fetch(PODS, { headers: foreign, anonymous: true })).statusCode).toBe(401)
        const users = async (gateway: StagedGateway) => (await gateway.events()).map(({ user }) => user.username)
        await expect.poll(() => users(first)).toEqual(['ana@example.com'])
        await expect.poll(() => users(second)).toEqual(['ana@example.com', undefined])
        expect((await ops(second, '/metrics')).text).not.toContain('code="200",decision="allow"')
      }),
    )
  })
})

describe('a socket that forwards as the subject', () => {
  it('writes the subject’s name, and never the client’s idea of it', async () => {
    await withGateway({ forwardAs: 'subject' }, async (gateway) => {
      await gateway.fetch(PODS, { headers: { Connection: 'Impersonate-User' } })
      const [seen] = gateway.apiServer.seen
      const lines = (seen?.rawHeaders ?? []).flatMap((name, i) =>
        i % 2 === 0 && /^impersonate-/i.test(name) ? [`${name}: ${seen?.rawHeaders[i + 1] ?? ''}`] : [],
      )
      expect(lines).toEqual(['Impersonate-User: ana@example.com', 'Impersonate-Group: payments-dev'])
    })
  })
})

const FULL_RIGHTS = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
/** What everybody has who is known to a cluster. */
const NO_RIGHTS = [
  {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  },
  { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
]

describe('a socket whose connector loses its rights in the cluster', () => {
  const refuseAll = (gateway: StagedGateway): void => {
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(403, { 'Content-Type': 'application/json' }).end('{"kind":"Status","code":403}')
    }
  }

  it('says so in one line soon after a request has met it, and serves on', async () => {
    const stage = (apiServer: StagedGateway['apiServer']): void => {
      apiServer.ownRules = [...NO_RIGHTS, FULL_RIGHTS]
    }
    await withGateway({ stage }, async (gateway) => {
      const verbose = async (): Promise<string> => (await ops(gateway, '/readyz?verbose')).text
      await expect.poll(verbose).toContain('[+]socket/production ok\n')
      gateway.apiServer.ownRules = NO_RIGHTS
      refuseAll(gateway)
      expect((await gateway.fetch(PODS)).statusCode).toBe(403)
      await expect
        .poll(verbose)
        .toMatch(
          /\[\+\]socket\/production ok, but the credential of the connector has no rights .*; look at its bindings\n/,
        )
      expect((await ops(gateway, '/readyz')).status).toBe(200)
      const told = gateway.log.filter((line) => line.includes('has no rights'))
      expect(told).toHaveLength(1)
      expect(JSON.parse(told[0] ?? '')).toMatchObject({ level: 40, msg: 'socket.readiness', name: 'socket/production' })
    })
  })

  it('is not ready when it may not act as people any more, which is all that it does, until it may again', async () => {
    const impersonation = { verbs: ['impersonate'], apiGroups: [''], resources: ['users', 'groups'] }
    const stage = (apiServer: StagedGateway['apiServer']): void => {
      apiServer.ownRules = [...NO_RIGHTS, impersonation]
    }
    await withGateway({ stage, forwardAs: 'subject' }, async (gateway) => {
      await expect.poll(async () => (await ops(gateway, '/readyz')).status).toBe(200)
      gateway.apiServer.ownRules = [...NO_RIGHTS, { ...FULL_RIGHTS, verbs: ['get', 'list'] }]
      refuseAll(gateway)
      expect((await gateway.fetch(PODS)).statusCode).toBe(403)
      await expect
        .poll(async () => (await ops(gateway, '/readyz')).text)
        .toMatch(/\[-\]socket\/production failed: .* lacks the verb impersonate\n/)
      gateway.apiServer.ownRules = [impersonation]
      await expect.poll(async () => (await ops(gateway, '/readyz')).status).toBe(200)
    })
  })
})

describe('a connector with several issuers', () => {
  const withOther = (other: Pick<StagedIssuer, 'url'>) =>
    ((document) => {
      const claimMappings = { username: { claim: 'sub', prefix: 'ci:' } }
      const issuer = { url: other.url, audiences: ['postern'], certificateAuthority: 'other.crt' }
      return { ...document, identity: { issuers: [...document.identity.issuers, { issuer, claimMappings }] } }
    }) satisfies NonNullable<StagedGatewayOptions['adjust']>
  const withAuthority =
    ({ certificateAuthority }: { readonly certificateAuthority: string }) =>
    (directory: string): Promise<void> =>
      writeFile(join(directory, 'other.crt'), certificateAuthority)

  it('is ready while one of them is, and tells of the others, in figures and in the log too', async () => {
    const url = 'https://127.0.0.1:1'
    const prepare = withAuthority({ certificateAuthority: createCertificateAuthority().certificate })
    await withGateway({ adjust: withOther({ url }), prepare }, async (gateway) => {
      await expect.poll(async () => (await ops(gateway, '/readyz')).status).toBe(200)
      const { text: checks } = await ops(gateway, '/readyz?verbose')
      expect(checks).toContain(`[+]issuer/${gateway.issuer.url} ok\n`)
      expect(checks).toMatch(/\[-\]issuer\/https:\/\/127\.0\.0\.1:1 failed: .*ECONNREFUSED.*\n/)
      const metrics = (await ops(gateway, '/metrics')).text
      expect(metrics).toContain(`postern_issuer_ready{issuer="${gateway.issuer.url}"} 1`)
      expect(metrics).toContain(`postern_issuer_ready{issuer="${url}"} 0`)
      const told = gateway.log.filter((line) => line.includes('issuer.readiness') && line.includes('ECONNREFUSED'))
      expect(JSON.parse(told[0] ?? '')).toMatchObject({ level: 40, msg: 'issuer.readiness', issuer: url, ready: false })
      expect((await gateway.fetch(PODS)).statusCode).toBe(200)
    })
  })

  it('is not ready until each of them was asked once', async () => {
    const other = await startStagedIssuer()
    const held: ServerResponse[] = []
    other.staged.set('/.well-known/openid-configuration', (_request, response) => held.push(response))
    try {
      await withGateway({ adjust: withOther(other), prepare: withAuthority(other) }, async (gateway) => {
        const verbose = async (): Promise<string> => (await ops(gateway, '/readyz?verbose')).text
        await expect.poll(() => held.length).toBe(1)
        await expect.poll(verbose).toContain(`[+]issuer/${gateway.issuer.url} ok\n`)
        await expect.poll(verbose).toContain('[+]socket/production ok\n')
        expect(await verbose()).toMatch(/failed: its keys were not fetched yet\n[^]*readyz check failed\n$/)
        held[0]?.writeHead(500).end()
        await expect.poll(async () => (await ops(gateway, '/readyz')).status).toBe(200)
        expect(await verbose()).toMatch(/\[-\]issuer\/.*failed: .*500/)
      })
    } finally {
      await other.close()
    }
  })
})

describe('a connector with several sockets', () => {
  it('is ready while one of them is, and tells of the others, in figures too', async () => {
    const adjust: NonNullable<Parameters<typeof startStagedGateway>[0]>['adjust'] = (document) => ({
      ...document,
      sockets: [
        ...document.sockets,
        {
          name: 'away',
          upstream: {
            server: {
              url: 'https://127.0.0.1:1',
              certificateAuthority: 'api-server.crt',
              credential: { token: { env: 'PATH' } },
            },
          },
        },
      ],
    })
    const prepare = (directory: string, { certificateAuthority }: StagedGateway['apiServer']): Promise<void> =>
      writeFile(join(directory, 'api-server.crt'), certificateAuthority)
    await withGateway({ adjust, prepare }, async (gateway) => {
      await expect.poll(async () => (await ops(gateway, '/readyz')).status).toBe(200)
      const { text } = await ops(gateway, '/readyz?verbose')
      expect(text).toContain('[+]socket/production ok\n')
      expect(text).toMatch(/\[-\]socket\/away failed: .*ECONNREFUSED/)
      const metrics = (await ops(gateway, '/metrics')).text
      expect(metrics).toContain('postern_socket_ready{socket="production"} 1')
      expect(metrics).toContain('postern_socket_ready{socket="away"} 0')
    })
  })
})
