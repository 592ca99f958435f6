import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CLOCK_LEEWAY_SECONDS } from '../../src/identity/id-token-claims.ts'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import { type StagedGateway, type StagedGatewayOptions, startStagedGateway } from '../support/staged-gateway.ts'

const EXEC = '/sockets/production/api/v1/namespaces/default/pods/web/exec?command=sh&stdin=true&stdout=true'
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n'

const policy = (session: string) => `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: shells }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: [create], resources: [pods/exec], namespaces: [default], session: ${session} }
`

let gateway: StagedGateway
let upstreams: Duplex[]
let clients: TLSSocket[]

beforeEach(() => {
  upstreams = []
  clients = []
})
afterEach(async () => {
  for (const client of clients) client.destroy()
  await gateway.stop()
})

async function start(session: string, options: StagedGatewayOptions = {}): Promise<void> {
  gateway = await startStagedGateway({
    policy: policy(session),
    recordings: { store: { directory: 'recordings' } },
    ...options,
  })
  gateway.apiServer.onUpgrade = (_request, socket) => {
    upstreams.push(socket)
    socket.write(SWITCHED, 'latin1')
  }
}

/** A client's side of a session: what it was sent behind the head, and what became of it. */
interface ClientSide {
  readonly socket: TLSSocket
  readonly received: () => Buffer
  readonly closed: Promise<unknown>
}

async function exec(token = gateway.token): Promise<ClientSide> {
  const socket = await gateway.raw()
  clients.push(socket)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const head = [
    `GET ${EXEC} HTTP/1.1`,
    'Host: x',
    `Authorization: Bearer ${token}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: v5.channel.k8s.io',
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`, 'latin1')
  await expect.poll(() => Buffer.concat(chunks).includes('\r\n\r\n')).toBe(true)
  return { socket, received: () => Buffer.concat(chunks), closed }
}

function serverMessage(channel: number, payload: string): Buffer {
  const bytes = Buffer.from(payload)
  return Buffer.concat([Buffer.from([0x82, bytes.length + 1, channel]), bytes])
}

/** Masked with zeros, which is a mask too. */
function clientMessage(channel: number, payload: string): Buffer {
  const bytes = Buffer.from(payload)
  return Buffer.concat([Buffer.from([0x82, 0x80 | (bytes.length + 1), 0, 0, 0, 0, channel]), bytes])
}

/** Close 1000, as the server sends it. */
const CLOSE = Buffer.from([0x88, 2, 3, 0xe8])

/** The Status on channel 3 with which a session ended, which a Close 1000 has to follow. */
function ending(received: Buffer): { readonly status: string; readonly message: string } {
  const message = received.lastIndexOf(Buffer.from('\u0003{"kind":"Status"'))
  expect(message, received.subarray(-200).toString('latin1')).toBeGreaterThan(0)
  expect(received.subarray(-CLOSE.length)).toEqual(CLOSE)
  return JSON.parse(received.toString('utf8', message + 1, received.length - CLOSE.length)) as ReturnType<typeof ending>
}

async function manifests(): Promise<RecordingManifest[]> {
  const directory = join(gateway.directory, 'recordings')
  const ids = (await readdir(directory)).filter((name) => /^[0-9a-f-]{36}$/.test(name))
  return Promise.all(
    ids.map(
      async (id) => JSON.parse(await readFile(join(directory, id, 'manifest.json'), 'utf8')) as RecordingManifest,
    ),
  )
}

const sessionEvents = async () =>
  (await gateway.events()).filter(
    ({ stage, objectRef }) => stage === 'ResponseComplete' && objectRef?.['subresource'] === 'exec',
  )

describe('a session', () => {
  it('is recorded, and its audit event names the manifest', async () => {
    await start('{}')
    const client = await exec()
    upstreams[0]?.write(Buffer.concat([serverMessage(1, ''), serverMessage(1, 'hello\r\n')]))
    await expect.poll(() => client.received().includes('hello')).toBe(true)
    upstreams[0]?.end(
      Buffer.concat([serverMessage(3, '{"metadata":{},"status":"Success"}'), Buffer.from([0x88, 2, 3, 0xe8])]),
    )
    await client.closed
    await expect.poll(sessionEvents).toHaveLength(1)
    const [event] = await sessionEvents()
    const [manifest] = await manifests()
    expect(manifest).toMatchObject({
      state: 'complete',
      outcome: { exitCode: 0, endedBy: '' },
      session: { kind: 'exec', pod: 'web', namespace: 'default', command: ['sh'], username: 'ana@example.com' },
    })
    expect(event?.annotations['postern.dev/session']).toBe(manifest?.session.id)
    expect(event?.annotations['postern.dev/recording']).toMatch(/^sha256:[0-9a-f]{64}$/)
    const cast = await readFile(
      join(gateway.directory, 'recordings', manifest?.session.id ?? '', 'recording.cast'),
      'utf8',
    )
    expect(cast).toContain('"hello\\r\\n"')
  })

  it('ends after the time that its rule allows, with a sentence', async () => {
    await start('{ maxDuration: 1s }')
    const client = await exec()
    await client.closed
    expect(ending(client.received())).toMatchObject({
      status: 'Failure',
      message: expect.stringMatching(/^the session lasted 1s, as long as rule shells#1 allows \(audit id /) as string,
    })
    await expect.poll(() => upstreams[0]?.destroyed).toBe(true)
    await expect
      .poll(async () => (await sessionEvents())[0]?.responseStatus?.message)
      .toBe('the session lasted 1s, as long as rule shells#1 allows')
  })

  it('ends when it is idle; pings do not keep it, payload does', async () => {
    await start('{ idleTimeout: 1s }')
    const client = await exec()
    const started = performance.now()
    const pings = setInterval(() => client.socket.write(Buffer.from([0x89, 0x80, 0, 0, 0, 0])), 100)
    const typing = setTimeout(() => client.socket.write(clientMessage(0, 'x')), 700)
    await client.closed
    clearInterval(pings)
    clearTimeout(typing)
    expect(performance.now() - started).toBeGreaterThan(1_600)
    expect(ending(client.received()).message).toMatch(/^the session was idle for 1s, as long as rule shells#1 allows/)
  })

  it('is told the ending behind a whole message, never within one', async () => {
    await start('{ maxDuration: 1s }')
    const client = await exec()
    const message = serverMessage(1, 'whole message')
    upstreams[0]?.write(message.subarray(0, 5))
    const rest = setTimeout(
      () => upstreams[0]?.write(Buffer.concat([message.subarray(5), message.subarray(0, 4)])),
      1_300,
    )
    await client.closed
    clearTimeout(rest)
    ending(client.received())
    expect(client.received().includes(message)).toBe(true)
    expect(client.received().toString('latin1').split('whole').length).toBe(2)
  })

  it('is cut off when the rest of a message does not come', async () => {
    await start('{ maxDuration: 1s }')
    const client = await exec()
    upstreams[0]?.write(serverMessage(1, 'half').subarray(0, 4))
    await client.closed
    expect(client.received().includes('Status')).toBe(false)
  })

  it('may be open so many times at once', async () => {
    await start('{ maxConcurrent: 1 }')
    const first = await exec()
    const second = await exec()
    expect(second.received().toString()).toMatch(/^HTTP\/1\.1 429 /)
    expect(second.received().toString()).toContain('you have 1 session open, as many as rule shells#1 allows')
    expect(upstreams).toHaveLength(1)
    first.socket.destroy()
    await expect.poll(() => upstreams[0]?.destroyed).toBe(true)
    await expect.poll(async () => (await exec()).received().toString().startsWith('HTTP/1.1 101')).toBe(true)
  })

  it('ends when a new revision no longer allows it', async () => {
    await start('{}')
    const client = await exec()
    await writeFile(join(gateway.directory, 'policy.yaml'), policy('{}').replace('[default]', '[other]'))
    await client.closed
    expect(ending(client.received()).message).toMatch(/^the policy changed and no longer allows this: /)
  })

  it('ends when its login does', async () => {
    await start('{}', { limits: { expiredTokenGrace: '0s' } })
    const endsAtSeconds = Math.floor(Date.now() / 1000) + 3
    const client = await exec(await gateway.issuer.sign({ exp: endsAtSeconds - CLOCK_LEEWAY_SECONDS }))
    await client.closed
    expect(ending(client.received()).message).toMatch(/^the login that opened it expired; run the command again/)
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(endsAtSeconds)
  })

  it('ends with the connector, once the time to drain is over', async () => {
    await start('{}', { limits: { drainTimeout: '0s' } })
    const client = await exec()
    await gateway.app.stop()
    await client.closed
    expect(ending(client.received()).message).toMatch(/^the connector stops; run the command again to go on/)
    expect((await manifests())[0]?.state).toBe('complete')
  })
})

describe('a session that must be recorded', () => {
  it('ends when its bytes cannot be read, before they are passed on', async () => {
    await start('{ record: required }')
    const client = await exec()
    const received: Buffer[] = []
    upstreams[0]?.on('data', (chunk: Buffer) => received.push(chunk))
    client.socket.write(Buffer.concat([Buffer.from([0xc2, 0x82, 0, 0, 0, 0, 0]), Buffer.from('!')]))
    await client.closed
    expect(ending(client.received()).message).toMatch(/^this session must be recorded, and its bytes cannot be: /)
    expect(Buffer.concat(received)).toHaveLength(0)
  })

  it('does not open where nothing can be kept, and the API server is not asked', async () => {
    await start('{ record: required }')
    await rm(join(gateway.directory, 'recordings'), { recursive: true })
    await writeFile(join(gateway.directory, 'recordings'), 'in the way')
    const client = await exec()
    expect(client.received().toString()).toMatch(/^HTTP\/1\.1 503 /)
    expect(client.received().toString()).toContain('this session must be recorded')
    expect(upstreams).toHaveLength(0)
    await rm(join(gateway.directory, 'recordings'))
    await mkdir(join(gateway.directory, 'recordings'))
  })

  it('leaves no recording behind when the API server refuses it', async () => {
    await start('{ record: required }')
    gateway.apiServer.onUpgrade = (_request, socket) => {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')
    }
    const client = await exec()
    expect(client.received().toString()).toMatch(/^HTTP\/1\.1 404 /)
    await expect.poll(manifests).toEqual([])
  })
})

describe('a session that is recorded as far as can be', () => {
  it('goes on when its bytes cannot be read, and the recording says so', async () => {
    await start('{ record: best-effort }')
    const client = await exec()
    const received: Buffer[] = []
    upstreams[0]?.on('data', (chunk: Buffer) => received.push(chunk))
    const odd = Buffer.concat([Buffer.from([0xc2, 0x82, 0, 0, 0, 0, 0]), Buffer.from('!')])
    client.socket.write(odd)
    await expect.poll(() => Buffer.concat(received).equals(odd)).toBe(true)
    client.socket.destroy()
    await expect.poll(async () => (await manifests())[0]?.state).toBe('complete')
    expect((await manifests())[0]?.incomplete).not.toBe('')
  })

  it('is not idle while bytes pass that cannot be read', async () => {
    await start('{ record: best-effort, idleTimeout: 1s }')
    const client = await exec()
    const started = performance.now()
    const typing = setInterval(() => client.socket.write(Buffer.from([0xc2, 0x81, 0, 0, 0, 0, 0])), 100)
    setTimeout(() => {
      clearInterval(typing)
    }, 1_500)
    await client.closed
    expect(performance.now() - started).toBeGreaterThan(2_400)
  })
})
