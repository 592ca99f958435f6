import { mkdtemp, open, readFile, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { isSystemError } from '../../src/audit/recording-store/storage-failure.ts'
import { type RawSession, execIn } from '../support/raw-sessions.ts'
import { frame } from '../support/session-bytes.ts'
import { type ConnectorProcess, startStagedConnector } from '../support/staged-connector.ts'
import type { AuditEvent } from '../support/staged-gateway.ts'

/** A close frame of the server's, with the code 1000. */
const CLOSE = '\x88\x02\x03\xe8'
const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: shells }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: [create], resources: [pods/exec], resourceNames: [try-0, try-1], session: { record: best-effort } }
  - { verbs: [create], resources: [pods/exec], resourceNames: [must-0, must-1, must-2, must-3], session: { record: required } }
  - { verbs: [get, list], resources: [pods] }
`
/** Mounts a small disk at `$0`, in a namespace of the connector's own, which goes with the process. */
const ON_A_SMALL_DISK = [
  ...['unshare', '--map-root-user', '--mount', 'sh', '-c'],
  'mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@"',
]

let disk: string
let connector: ConnectorProcess
let sessions: RawSession[]

beforeEach(async () => {
  sessions = []
  disk = await mkdtemp(join(tmpdir(), 'postern-disk-'))
  connector = await startStagedConnector({
    policy: POLICY,
    recordings: { store: { directory: join(disk, 'recordings') } },
    wrapper: [...ON_A_SMALL_DISK, disk],
  })
})
afterEach(async () => {
  for (const { client } of sessions) client.destroy()
  await connector.stop()
  await rm(disk, { recursive: true })
})

async function exec(pod: string): Promise<RawSession> {
  const session = await execIn(pod, connector)
  sessions.push(session)
  return session
}

/** The connector's disk, as it is seen from here. */
const onItsDisk = (name: string): string => join('/proc', String(connector.pid), 'root', disk, name)

async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (;;) await file.write(Buffer.alloc(4096))
  } catch (error) {
    if (!isSystemError(error) || error.code !== 'ENOSPC') throw error
  } finally {
    await file.close()
  }
}

async function events(): Promise<AuditEvent[]> {
  const text = await readFile(join(connector.directory, 'audit', 'audit.jsonl'), 'utf8')
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as AuditEvent)
}

const ends = async (pod: string): Promise<AuditEvent | undefined> =>
  (await events()).find(({ stage, requestURI }) => stage === 'ResponseComplete' && requestURI.includes(`/${pod}/exec`))

async function statusOfList(): Promise<number> {
  const answer = await connector.open('/sockets/production/api/v1/namespaces/default/pods')
  answer.resume()
  return answer.statusCode ?? 0
}

it('a full disk ends what must be recorded with the reason, and nothing else', async () => {
  const required = [await exec('must-0'), await exec('must-1')]
  const bestEffort = [await exec('try-0'), await exec('try-1')]
  const all = [...required, ...bestEffort]
  expect(all.every((session) => session.received().startsWith('HTTP/1.1 101 '))).toBe(true)

  await fill(onItsDisk('filler'))
  const said = frame(2, `\x01${'x'.repeat(60_000)}`)
  let times = 0
  let openSessions = required.length
  for (const session of required) {
    void session.closed.then(() => (openSessions -= 1))
    session.client.on('data', () => {
      if (session.received().endsWith(CLOSE)) session.client.end()
    })
  }
  for (; times < 200 && openSessions > 0; times += 1) {
    for (const { upstream } of all) if (upstream?.destroyed === false) upstream.write(said)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await Promise.all(required.map(({ closed }) => closed))
  for (const session of required) {
    const told = session.received().slice(session.received().indexOf('\x03{"kind":"Status"'))
    expect(told).toContain(
      '"message":"this session must be recorded, and its recording can no longer be kept (audit id ',
    )
    expect(told.endsWith(CLOSE)).toBe(true)
  }

  // Those that need not be recorded go on, byte for byte.
  for (const session of bestEffort) {
    const last = frame(2, `\x01${'still here '.repeat(1000)}`)
    session.upstream?.write(last)
    const everything = Buffer.concat([...Array.from({ length: times }, () => said), last]).toString('latin1')
    await expect.poll(() => session.received().endsWith(everything)).toBe(true)
    expect(session.client.destroyed).toBe(false)
  }

  // New ones are refused with a sentence, and the API server is not asked; or open unrecorded.
  const refused = await exec('must-2')
  expect(refused.received()).toMatch(/^HTTP\/1\.1 503 /)
  await refused.closed
  expect(refused.received()).toContain('this session must be recorded, and its recording cannot be kept')
  expect(refused.upstream).toBeUndefined()

  // What is no session is served, and the trail is on another disk.
  expect(await statusOfList()).toBe(200)
  await expect.poll(async () => (await ends('must-1'))?.annotations['postern.dev/recording']).toBe('failed')
  expect((await ends('must-0'))?.responseStatus?.message).toBe(
    'this session must be recorded, and its recording can no longer be kept',
  )
  await expect.poll(async () => (await ends('must-2'))?.responseStatus?.code).toBe(503)

  for (const { client } of bestEffort) client.destroy()
  await expect
    .poll(async () => [(await ends('try-0'))?.annotations, (await ends('try-1'))?.annotations])
    .toMatchObject([{ 'postern.dev/recording': 'failed' }, { 'postern.dev/recording': 'failed' }])

  await unlink(onItsDisk('filler'))
  await expect.poll(async () => (await exec('must-3')).received().slice(0, 12), { interval: 500 }).toBe('HTTP/1.1 101')
})
