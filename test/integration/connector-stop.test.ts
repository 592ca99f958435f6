import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type Socket, connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createApp } from '../../src/app.ts'
import { loadConnectorConfig } from '../../src/config/load-connector-config.ts'
import { startObjectStore } from '../support/object-store.ts'
import { execIn } from '../support/raw-sessions.ts'
import { type StagedReplica, startReplica } from '../support/staged-connector.ts'
import {
  type StagedGatewayOptions,
  type StagedSurroundings,
  createOpener,
  stageSurroundings,
} from '../support/staged-gateway.ts'

const FOLLOWED_LOG = '/sockets/production/api/v1/namespaces/default/pods/web/log?follow=true'
const BUILDS_WITHIN_MS = 15 * 60_000
const SESSIONS = 5

async function start(
  options: StagedGatewayOptions,
): Promise<{ readonly surroundings: StagedSurroundings; readonly replica: StagedReplica }> {
  const surroundings = await stageSurroundings(options)
  onTestFinished(() => surroundings.stop())
  const replica = await startReplica(surroundings, 'a')
  onTestFinished(async () => {
    await replica.end('SIGKILL')
  })
  return { surroundings, replica }
}

it('a connector whose clients say nothing ends with 0 soon after SIGTERM', async () => {
  const { surroundings, replica } = await start({ limits: { drainTimeout: '2s' } })
  const silent: Socket[] = [
    connectTcp({ host: '127.0.0.1', port: replica.opsPort }),
    connectTcp({ host: '127.0.0.1', port: replica.portalPort }),
    connectTls({ host: '127.0.0.1', port: replica.portalPort, ca: surroundings.certificateAuthority }),
  ]
  onTestFinished(() => {
    for (const connection of silent) connection.destroy()
  })
  await Promise.all(silent.map((connection, i) => once(connection, i === 2 ? 'secureConnect' : 'connect')))
  expect(await replica.end('SIGTERM')).toBe(0)
  expect(replica.log()).toContain('connector.stopped')
})

it.each(['SIGTERM', 'SIGINT'] as const)('a second signal, %s, ends a connector that drains at once', async (signal) => {
  const { surroundings, replica } = await start({ limits: { drainTimeout: '1h' } })
  surroundings.apiServer.onRequest = (_request, response) => {
    response.writeHead(200).write('a line\n')
  }
  const { open, agent } = createOpener({ ...surroundings, port: replica.port })
  onTestFinished(() => {
    agent.destroy()
  })
  const log = await open(FOLLOWED_LOG)
  log.on('error', () => undefined).resume()
  void replica.end('SIGTERM')
  await expect.poll(() => replica.log()).toContain('connector.stopping')
  expect(await replica.end(signal)).toBe(1)
  expect(replica.log()).not.toContain('connector.stopped')
})

it(
  'the recordings of sessions that a stop ends are in the bucket when it is over',
  async () => {
    const objects = await startObjectStore()
    onTestFinished(() => objects.close())
    for (const [name, value] of Object.entries(objects.environment)) vi.stubEnv(name, value)
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    const { bucket, endpoint } = objects
    const s3 = { bucket, region: 'us-east-1', forcePathStyle: true, spool: 'spool' }
    const surroundings = await stageSurroundings({
      limits: { drainTimeout: '0s' },
      recordings: { store: { s3 } },
    })
    onTestFinished(() => surroundings.stop())
    const { recordings, ...config } = await loadConnectorConfig(surroundings.document)
    if (recordings?.store.kind !== 's3') throw new Error('the document says so')
    // The staged server speaks no TLS.
    const store = { ...recordings.store, endpoint }
    const log: string[] = []
    const app = await createApp(
      { ...config, recordings: { ...recordings, store } },
      { log: pino({ base: null }, { write: (line) => log.push(line) }) },
    )
    await app.start()
    const pods = Array.from({ length: SESSIONS }, (_, i) => `web-${i}`)
    for (const pod of pods) expect((await execIn(pod, surroundings)).received()).toMatch(/^HTTP\/1\.1 101 /)
    await app.stop()

    const trail = await readFile(join(surroundings.directory, 'audit', 'audit.jsonl'), 'utf8')
    const ids = [...trail.matchAll(/"ResponseComplete".*"postern\.dev\/session":"([\da-f-]{36})"/g)].map(([, id]) => id)
    expect(ids).toHaveLength(SESSIONS)
    const manifests = await Promise.all(
      ids.map(async (id) => JSON.parse(await readFile(objects.file(`${id ?? ''}/manifest.json`), 'utf8')) as unknown),
    )
    for (const manifest of manifests) {
      expect(manifest).toMatchObject({
        state: 'complete',
        outcome: { endedBy: expect.stringContaining('stops') as unknown },
      })
    }
    expect(log.join('')).not.toContain('recordings.failed')
  },
  BUILDS_WITHIN_MS,
)
