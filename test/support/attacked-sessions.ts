import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { expect } from 'vitest'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import type { SessionProtocol } from '../../src/kube/session/session-decoder.ts'
import { type AttackedGateway, NAMESPACE } from './attacked-gateway.ts'
import { SpdyWriter, clientFrame, data, frame } from './session-bytes.ts'
import type { AuditEvent } from './staged-gateway.ts'

/** Both protocols of an exec or attach, as kubectl asks for them. */
export const SPDY: SessionProtocol = { protocol: 'SPDY/3.1', subprotocol: 'v4.channel.k8s.io' }
export const WEBSOCKET: SessionProtocol = { protocol: 'websocket', subprotocol: 'v5.channel.k8s.io' }
/** The three of a port-forward. */
export const SPDY_FORWARD: SessionProtocol = { protocol: 'SPDY/3.1', subprotocol: 'portforward.k8s.io' }
export const TUNNELLED_FORWARD: SessionProtocol = {
  protocol: 'websocket',
  subprotocol: 'SPDY/3.1+portforward.k8s.io',
}
export const CHANNELS_FORWARD: SessionProtocol = { protocol: 'websocket', subprotocol: 'v4.channel.k8s.io' }

/** An exec whose stdin is piped in. */
export const EXEC = `${NAMESPACE}/pods/web/exec?command=sh&stdin=true&stdout=true`

/** How much is kept of what a client sends, in bytes, so that the memory of the gateway can be told from that of a test. */
const MAX_KEPT_BYTES = 256 * 1024

export interface SessionRequest extends SessionProtocol {
  readonly target: string
  /** Default that of ana. */
  readonly token?: string
  /** Header lines behind those that every upgrade has. */
  readonly lines?: readonly string[]
  /** What the API server sends in one piece with its 101. */
  readonly head?: Buffer
}

/** A session that opened, and what each side got so far of what the other sent. */
export interface AttackedSession {
  readonly client: TLSSocket
  readonly upstream: Duplex
  /** The head of the 101. */
  readonly head: string
  readonly auditId: string
  /** Behind the head. */
  readonly received: () => Buffer
  /** Nothing once it is more than {@link MAX_KEPT_BYTES}. */
  readonly passed: () => Buffer
  readonly passedBytes: () => number
  /** Both sides are closed. */
  readonly closed: Promise<unknown>
}

/** The head with which a client asks for a session, up to its empty line. */
export function upgradeHead(attacked: AttackedGateway, request: SessionRequest): string {
  const { protocol, subprotocol, target, token = attacked.gateway.token, lines = [] } = request
  const isSpdy = protocol === 'SPDY/3.1'
  const offer = isSpdy ? 'X-Stream-Protocol-Version' : 'Sec-WebSocket-Protocol'
  const all = [
    `${isSpdy ? 'POST' : 'GET'} ${target} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Connection: Upgrade',
    `Upgrade: ${protocol}`,
    ...(isSpdy ? [] : ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']),
    ...(subprotocol === '' ? [] : [`${offer}: ${subprotocol}`]),
    ...lines,
  ]
  return `${all.join('\r\n')}\r\n\r\n`
}

/** The head with which an API server agrees to it. */
export function switchedHead({ protocol, subprotocol }: SessionProtocol): string {
  const isSpdy = protocol === 'SPDY/3.1'
  const agreed = isSpdy ? 'X-Stream-Protocol-Version' : 'Sec-WebSocket-Protocol'
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    `Upgrade: ${protocol}`,
    ...(isSpdy ? [] : ['Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=']),
    ...(subprotocol === '' ? [] : [`${agreed}: ${subprotocol}`]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Opens a session through the gateway; the API server agrees to it. */
export async function openSession(attacked: AttackedGateway, request: SessionRequest): Promise<AttackedSession> {
  const joined = new Promise<Duplex>((resolve) => {
    attacked.apiServer.onUpgrade = (_request, socket) => {
      socket.write(Buffer.concat([Buffer.from(switchedHead(request)), request.head ?? Buffer.alloc(0)]))
      resolve(socket)
    }
  })
  const client = await attacked.connect()
  const gone = closeOf(client)
  let received = Buffer.alloc(0)
  const switched = new Promise<number>((resolve, reject) => {
    client.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const end = received.indexOf('\r\n\r\n')
      if (end !== -1) resolve(end + 4)
    })
    client.once('close', () => {
      reject(new Error(`no session: ${received.toString()}`))
    })
  })
  client.write(upgradeHead(attacked, request), 'latin1')
  const headLength = await switched
  const head = received.toString('latin1', 0, headLength)
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`no session: ${received.toString()}`)
  const upstream = await joined
  let passed: Buffer[] = []
  let passedBytes = 0
  upstream.on('data', (chunk: Buffer) => {
    passedBytes += chunk.length
    if (passedBytes <= MAX_KEPT_BYTES) passed.push(chunk)
    else passed = []
  })
  const closed = Promise.all([gone, closeOf(upstream)])
  return {
    client,
    upstream,
    head,
    auditId: /^audit-id: (.*)$/im.exec(head)?.[1]?.trim() ?? '',
    received: () => received.subarray(headLength),
    passed: () => Buffer.concat(passed),
    passedBytes: () => passedBytes,
    closed,
  }
}

/** However it closes: a reset is a close, too. */
function closeOf(side: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (side.closed) resolve()
    else side.once('close', resolve)
  })
}

/** Sends from one side, and waits until the other has all of it. */
export async function relay(session: AttackedSession, from: 'client' | 'upstream', bytes: Uint8Array): Promise<void> {
  const isClient = from === 'client'
  const arrived = (): number => (isClient ? session.passedBytes() : session.received().length)
  const before = arrived()
  const sender = isClient ? session.client : session.upstream
  sender.write(bytes)
  await expect.poll(() => arrived() - before, { interval: 3 }).toBe(bytes.length)
}

/** What was kept of a session that is over. */
export interface KeptSession {
  readonly event: AuditEvent
  readonly manifest: RecordingManifest
  /** The asciicast as it lies there. */
  readonly cast: string
  /** What it shows of the output. */
  readonly shown: string
}

/** Waits for the account of a session that is over. */
export async function keptOf(attacked: AttackedGateway, { auditId }: { auditId: string }): Promise<KeptSession> {
  const event = await attacked.eventOf(auditId)
  const directory = join(attacked.gateway.directory, 'recordings', event.annotations['postern.dev/session'] ?? '')
  const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as RecordingManifest
  const cast = await readFile(join(directory, 'recording.cast'), 'utf8')
  return { event, manifest, cast, shown: shownBy(cast) }
}

/** The output in an asciicast. */
function shownBy(cast: string): string {
  const [, ...events] = cast.trimEnd().split('\n')
  return events
    .map((line) => JSON.parse(line) as [number, string, string])
    .map(([, code, text]) => (code === 'o' ? text : ''))
    .join('')
}

/** The ids of all recordings that are kept. */
export async function keptIds(attacked: AttackedGateway): Promise<string[]> {
  const names = await readdir(join(attacked.gateway.directory, 'recordings'))
  return names.filter((name) => /^[\da-f]{8}-[\da-f-]{27}$/.test(name))
}

/** What closes a connection, for a client: a GOAWAY frame up to its last stream id, or a close frame with code 1000. */
const CLOSINGS = {
  'SPDY/3.1': { bytes: '\x80\x03\x00\x07\x00\x00\x00\x08', behind: 8 },
  websocket: { bytes: '\x88\x02\x03\xe8', behind: 0 },
} as const

/** Waits for the end of a session, which its client takes part in, and gives what came before the protocol's close. */
export async function closingOf(session: AttackedSession, { protocol }: SessionProtocol): Promise<string> {
  const { bytes, behind } = CLOSINGS[protocol]
  const closing = (): string | undefined => {
    const text = session.received().toString('latin1')
    const at = text.length - behind - bytes.length
    return at >= 0 && text.startsWith(bytes, at) ? text.slice(0, at) : undefined
  }
  await expect.poll(closing, { interval: 3 }).toBeDefined()
  session.client.end()
  await session.closed
  return closing() ?? ''
}

/** The same of an exec or attach: the message of the Status that came last. */
export async function endingOf(session: AttackedSession, protocol: SessionProtocol): Promise<string> {
  const text = await closingOf(session, protocol)
  const json = /\{"kind":"Status".*\}(?=\n)/su.exec(text)?.[0]
  if (json === undefined) throw new Error(`no ending: ${JSON.stringify(text.slice(-300))}`)
  const status = JSON.parse(json) as { status: string; message: string }
  expect(status.status).toBe('Failure')
  return status.message
}

/** The client's side of an exec or attach over SPDY, of which some streams are open. */
export class SpdyClient {
  readonly writer = new SpdyWriter()
  readonly server = new SpdyWriter()

  /** What opens error, stdin and stdout, as 1, 3 and 5. */
  opening(types: readonly string[] = ['error', 'stdin', 'stdout']): Buffer {
    return Buffer.concat(types.map((streamtype, index) => this.writer.open(2 * index + 1, { streamtype })))
  }

  /** The server's answers to it. */
  accepting(count = 3): Buffer {
    return Buffer.concat(Array.from({ length: count }, (_, index) => this.server.accept(2 * index + 1)))
  }
}

/** A message of an exec or attach over a WebSocket. */
export const stdin = (payload: string | Uint8Array): Buffer => onChannel(0, payload, 'client')
export const stdout = (payload: string | Uint8Array): Buffer => onChannel(1, payload, 'upstream')

export function onChannel(channel: number, payload: string | Uint8Array, from: 'client' | 'upstream'): Buffer {
  const bytes = Buffer.concat([Buffer.from([channel]), Buffer.from(payload)])
  return from === 'client' ? clientFrame(2, bytes) : frame(2, bytes)
}

/** An exec over either protocol, with both its directions open. */
export interface OpenExec extends AttackedSession {
  readonly spdy: SpdyClient
  readonly stdin: (payload: string | Uint8Array) => Buffer
  readonly stdout: (payload: string | Uint8Array) => Buffer
  /** What the client sent so far. */
  readonly prologue: Buffer
}

/** Opens an exec of which honest bytes have passed in both directions. */
export async function openExec(
  attacked: AttackedGateway,
  protocol: SessionProtocol,
  { target = EXEC, token }: { readonly target?: string; readonly token?: string } = {},
): Promise<OpenExec> {
  const session = await openSession(attacked, { ...protocol, target, ...(token !== undefined && { token }) })
  const spdy = new SpdyClient()
  if (protocol.protocol === 'SPDY/3.1') {
    const prologue = spdy.opening()
    await relay(session, 'client', prologue)
    await relay(session, 'upstream', spdy.accepting())
    return {
      ...session,
      spdy,
      prologue,
      stdin: (payload) => data(3, payload),
      stdout: (payload) => data(5, payload),
    }
  }
  await relay(session, 'upstream', stdout(''))
  return { ...session, spdy, prologue: Buffer.alloc(0), stdin, stdout }
}
