import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { SessionProtocol } from '../../src/kube/session/session-decoder.ts'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import {
  CHANNELS_FORWARD,
  EXEC,
  SPDY,
  SPDY_FORWARD,
  SpdyClient,
  TUNNELLED_FORWARD,
  WEBSOCKET,
  closingOf,
  endingOf,
  keptOf,
  onChannel,
  openExec,
  openSession,
  relay,
  stdin,
  stdout,
  switchedHead,
  upgradeHead,
} from '../support/attacked-sessions.ts'
import { clientFrame, control, data, frame, goAway, headerBlock, reset, uint32 } from '../support/session-bytes.ts'

// Attack D8.
//
// Bytes that the API server understands and the recorder does not, or reads in another way, are a command that nobody
// finds in the recording. Where a session must be recorded, it ends before any of them has passed.

const attacked = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })

/** What must not get to the pod unseen. */
const HIDDEN = 'cat /etc/shadow\n'
const UNREADABLE = /^this session must be recorded, and its bytes cannot be: /
const hash = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const masked = (bytes: Buffer): Buffer => clientFrame(2, bytes)

type Evasion = (client: SpdyClient) => Buffer

const open = ({ writer }: SpdyClient, id: number, streamtype: string, flags = 0): Buffer =>
  writer.open(id, { streamtype }, flags)

/** Of a client of which error, stdin and stdout are open. */
const SPDY_EVASIONS: readonly (readonly [string, Evasion])[] = [
  ['a second stdout', (client) => open(client, 7, 'stdout')],
  ['a second stdin', (client) => Buffer.concat([open(client, 7, 'stdin'), data(7, HIDDEN)])],
  ['a stream of an unknown type', (client) => open(client, 7, 'stdin2')],
  ['a stream type in capitals', (client) => open(client, 7, 'STDIN')],
  ['a stream type with a blank', (client) => open(client, 7, 'stdin ')],
  ['a stream type of an object’s', (client) => open(client, 7, '__proto__')],
  ['a stream without a type', ({ writer }) => writer.open(7, {})],
  ['a stream that was not asked for', (client) => open(client, 7, 'stderr')],
  ['an even stream id', (client) => open(client, 8, 'resize')],
  ['a stream id that was used', (client) => open(client, 3, 'resize')],
  ['a stream id that goes back', (client) => open(client, 0x80000001, 'resize')],
  [
    'two types in one header block',
    ({ writer }) =>
      writer.openWith(
        7,
        writer.deflate(
          headerBlock([
            ['streamtype', 'stderr'],
            ['streamtype', 'stdin'],
          ]),
        ),
      ),
  ],
  ['two types in one value', (client) => open(client, 7, 'stderr\0stdin')],
  ['a header name in capitals', ({ writer }) => writer.open(7, { StreamType: 'stdin' })],
  [
    'headers that are not whole at the end of their frame',
    ({ writer }) => {
      const deflated = writer.deflate(headerBlock([['streamtype', 'stderr']]))
      return writer.openWith(7, deflated.subarray(0, -3))
    },
  ],
  [
    'headers that end the compression',
    ({ writer }) => writer.openWith(7, writer.deflate(headerBlock([['streamtype', 'x']]), constants.Z_FINISH)),
  ],
  [
    'headers with something behind them',
    ({ writer }) =>
      writer.openWith(7, writer.deflate(Buffer.concat([headerBlock([['streamtype', 'x']]), Buffer.alloc(8)]))),
  ],
  ['headers that are not compressed', ({ writer }) => writer.openWith(7, headerBlock([['streamtype', 'stderr']]))],
  ['headers that say more than they have', ({ writer }) => writer.openWith(7, writer.deflate(uint32(3)))],
  [
    'headers with a new compression',
    ({ writer }) => {
      const again = new SpdyClient()
      return writer.openWith(7, again.writer.deflate(headerBlock([['streamtype', 'stderr']])))
    },
  ],
  ['data for a stream that nobody opened', () => data(9, HIDDEN)],
  ['data on stream 0', () => data(0, HIDDEN)],
  ['data on stdout from the client', () => data(5, HIDDEN)],
  ['data on error from the client', () => data(1, HIDDEN)],
  ['data with flags that nobody knows', () => data(3, HIDDEN, 2)],
  ['another version of SPDY', () => control(6, 0, uint32(1), 2)],
  ['HEADERS', ({ writer }) => control(8, 0, Buffer.concat([uint32(3), writer.deflate(headerBlock([]))]))],
  [
    'a SYN_REPLY from the client',
    ({ writer }) => control(2, 0, Buffer.concat([uint32(3), writer.deflate(headerBlock([]))])),
  ],
  ['a frame of an unknown type', () => control(12, 0, Buffer.from(HIDDEN))],
  ['a PING that is longer than one', () => control(6, 0, Buffer.concat([uint32(1), data(3, HIDDEN)]))],
  ['a RST_STREAM that is longer than one', () => control(3, 0, Buffer.concat([uint32(3), uint32(5), data(3, HIDDEN)]))],
  ['a GOAWAY that is shorter than one', () => control(7, 0, uint32(0))],
  ['SETTINGS with fewer entries than bytes', () => control(4, 0, Buffer.concat([uint32(0), data(3, HIDDEN)]))],
  ['a control frame with flags', () => control(6, 1, uint32(1))],
  ['bytes of no protocol', () => Buffer.from(`\n\n${HIDDEN}`)],
]

const WEBSOCKET_EVASIONS: readonly (readonly [string, Evasion])[] = [
  ['a compressed message (RSV1)', () => clientFrame(2, `\0${HIDDEN}`, { reserved: 0x40 })],
  ['RSV2', () => clientFrame(2, `\0${HIDDEN}`, { reserved: 0x20 })],
  ['RSV3', () => clientFrame(2, `\0${HIDDEN}`, { reserved: 0x10 })],
  // Its first bytes, taken for a masking key, would leave a message for stdin.
  ['a message that is not masked', () => frame(2, `\0abc\0${HIDDEN}`)],
  [
    'a channel byte of its own fragment',
    () => Buffer.concat([clientFrame(2, '\0', { isPart: true }), clientFrame(0, HIDDEN)]),
  ],
  [
    'a fragment whose continuation names another channel',
    () => Buffer.concat([clientFrame(2, '\x04{}', { isPart: true }), clientFrame(0, `\0${HIDDEN}`)]),
  ],
  ['a continuation of nothing', () => clientFrame(0, `\0${HIDDEN}`)],
  ['a control frame in fragments', () => clientFrame(9, HIDDEN, { isPart: true })],
  ['a ping that is longer than may be', () => clientFrame(9, Buffer.alloc(126))],
  ['an unknown opcode', () => clientFrame(3, `\0${HIDDEN}`)],
  ['an unknown control opcode', () => clientFrame(11, `\0${HIDDEN}`)],
  ['a length whose highest bit is set', () => lengthOf(0x80000000, HIDDEN.length + 1)],
  ['a length beyond four bytes', () => lengthOf(1, HIDDEN.length + 1)],
  ['a channel that does not exist', () => onChannel(6, HIDDEN, 'client')],
  ['the channel of stdout', () => onChannel(1, HIDDEN, 'client')],
  ['the channel of error', () => onChannel(3, HIDDEN, 'client')],
  ['stdin after its end', () => Buffer.concat([onChannel(255, '\0', 'client'), stdin(HIDDEN)])],
  ['a close signal for two channels', () => onChannel(255, '\0\0', 'client')],
  ['a close signal for none', () => onChannel(255, '', 'client')],
  ['data behind a close frame', () => Buffer.concat([clientFrame(8, Buffer.from([3, 0xe8])), stdin(HIDDEN)])],
  ['a close frame with half a code', () => clientFrame(8, Buffer.from([3]))],
]

/** A message with a 64-bit length of which the upper half is given. */
function lengthOf(high: number, low: number): Buffer {
  return Buffer.concat([
    Buffer.from([0x82, 0xff]),
    uint32(high),
    uint32(low),
    Buffer.alloc(4),
    Buffer.from(`\0${HIDDEN}`),
  ])
}

describe.each<[string, SessionProtocol, readonly (readonly [string, Evasion])[]]>([
  ['SPDY', SPDY, SPDY_EVASIONS],
  ['a WebSocket', WEBSOCKET, WEBSOCKET_EVASIONS],
])('over %s', (_protocol, protocol, evasions) => {
  // The same bytes mean the same in both, so that the second needs only a few of them.
  describe.each<[string, typeof evasions]>([
    ['exec', evasions],
    ['attach', evasions.slice(0, 6)],
  ])('%s ends with a Status, and nothing was passed of', (subresource, some) => {
    test.each(some)('%s', async (_evasion, evasion) => {
      const target = EXEC.replace('exec', subresource)
      const session = await openExec(attacked, protocol, { target })
      await relay(session, 'upstream', session.stdout('prompt'))
      session.client.write(evasion(session.spdy))
      session.client.write(session.stdin(HIDDEN))
      const message = await endingOf(session, protocol)
      expect(message).toMatch(UNREADABLE)
      expect(session.passed().equals(session.prologue)).toBe(true)
      const { manifest, event, shown } = await keptOf(attacked, session)
      expect(manifest).toMatchObject({ state: 'complete', incomplete: '' })
      expect(message.startsWith(manifest.outcome?.endedBy ?? '?')).toBe(true)
      expect(event.responseStatus?.message).toBe(manifest.outcome?.endedBy)
      expect(shown).toBe('prompt')
    })
  })

  test.each<[string, (session: Awaited<ReturnType<typeof openExec>>) => Buffer]>([
    ...(protocol === SPDY
      ? ([
          ['a stream of the server’s', ({ spdy }) => spdy.server.open(2, { streamtype: 'stdout' })],
          ['a stream that was answered twice', ({ spdy }) => spdy.server.accept(5)],
          ['output on stdin', () => data(3, HIDDEN)],
          ['output on a stream that nobody opened', () => data(7, HIDDEN)],
        ] satisfies [string, (session: Awaited<ReturnType<typeof openExec>>) => Buffer][])
      : ([
          ['a compressed message (RSV1)', () => frame(2, `\x01${HIDDEN}`, { reserved: 0x40 })],
          ['a masked message', () => clientFrame(2, `\x01${HIDDEN}`)],
          ['text', () => frame(1, `\x01${HIDDEN}`)],
          ['output on stdin', () => onChannel(0, HIDDEN, 'upstream')],
        ] satisfies [string, (session: Awaited<ReturnType<typeof openExec>>) => Buffer][])),
  ])('an API server that sends %s ends it, and the client sees nothing of it', async (_evasion, evasion) => {
    const session = await openExec(attacked, protocol)
    session.upstream.write(evasion(session))
    expect(await endingOf(session, protocol)).toMatch(UNREADABLE)
    expect(session.received().includes(HIDDEN)).toBe(false)
  })

  test('an evasion in the middle of a message from the API server cuts it off there', async () => {
    const session = await openExec(attacked, protocol)
    await relay(session, 'upstream', session.stdout('half').subarray(0, 4))
    session.client.write(protocol === SPDY ? data(9, HIDDEN) : clientFrame(2, HIDDEN, { reserved: 0x40 }))
    await session.closed
    expect(session.passed().equals(session.prologue)).toBe(true)
    expect(session.received().includes('Status')).toBe(false)
    expect((await keptOf(attacked, session)).manifest.outcome?.endedBy).toMatch(UNREADABLE)
  })

  test('what is sent before the API server has switched is recorded like everything else', async () => {
    const spdy = new SpdyClient()
    const sent = protocol === SPDY ? Buffer.concat([spdy.opening(), data(3, HIDDEN)]) : stdin(HIDDEN)
    const asked = new Promise<() => void>((resolve) => {
      attacked.apiServer.onUpgrade = (_request, socket) => {
        socket.on('data', (chunk: Buffer) => passed.push(chunk))
        resolve(() => {
          socket.write(switchedHead(protocol))
          if (protocol === SPDY) socket.write(spdy.accepting())
        })
      }
    })
    const passed: Buffer[] = []
    const client = await attacked.connect()
    let head = ''
    client.on('data', (chunk: Buffer) => (head += chunk.toString('latin1')))
    client.write(upgradeHead(attacked, { ...protocol, target: EXEC }))
    const agree = await asked
    client.write(sent)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(passed).toEqual([])
    agree()
    await expect.poll(() => Buffer.concat(passed).equals(sent)).toBe(true)
    client.destroy()
    const auditId = /^audit-id: (\S+)/im.exec(head)?.[1] ?? ''
    const { manifest } = await keptOf(attacked, { auditId })
    expect(manifest.streams.stdin).toBe(HIDDEN.length)
    expect(manifest.elided).toMatchObject([
      { stream: 'stdin', byteLength: HIDDEN.length, hash: hash(Buffer.from(HIDDEN)) },
    ])
  })

  test('what is sent in one piece with the request is refused', async () => {
    const session = protocol === SPDY ? new SpdyClient().opening() : stdin(HIDDEN)
    const head = upgradeHead(attacked, { ...protocol, target: EXEC })
    const answer = await attacked.writeOnce(Buffer.concat([Buffer.from(head), session]))
    await attacked.expectRefused(answer, BAD_REQUEST)
  })

  test('what comes in one piece with the 101 is recorded', async () => {
    const output = protocol === SPDY ? Buffer.alloc(0) : stdout('first\n')
    const session = await openSession(attacked, { ...protocol, target: EXEC, head: output })
    await expect.poll(() => session.received().equals(output)).toBe(true)
    session.client.destroy()
    await session.closed
    expect((await keptOf(attacked, session)).shown).toBe(protocol === SPDY ? '' : 'first\n')
  })

  test('the same bytes one at a time are recorded and passed', async () => {
    const session = await openExec(attacked, protocol)
    const typed = Buffer.from('echo é\n')
    const said = Buffer.from('é 名\n')
    const sent = Buffer.concat([...typed].map((byte) => session.stdin(Buffer.from([byte]))))
    const answered = Buffer.concat([...said].map((byte) => session.stdout(Buffer.from([byte]))))
    session.client.setNoDelay()
    for (const byte of sent) {
      session.client.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await relay(session, 'upstream', answered)
    await expect.poll(() => session.passed().equals(Buffer.concat([session.prologue, sent]))).toBe(true)
    session.upstream.destroy()
    await session.closed
    const { manifest, shown } = await keptOf(attacked, session)
    expect(manifest.streams).toMatchObject({ stdin: typed.length, stdout: said.length })
    expect(manifest.elided).toMatchObject([{ stream: 'stdin', hash: hash(typed) }])
    expect(shown).toBe(said.toString())
  })
})

test('late frames of honest peers end nothing, and are told', async () => {
  const session = await openExec(attacked, SPDY)
  await relay(session, 'client', Buffer.concat([data(3, 'a\n', 1), reset(5), goAway(0)]))
  await relay(session, 'upstream', Buffer.concat([data(5, 'late\n'), reset(3)]))
  session.client.destroy()
  await session.closed
  const { manifest, shown } = await keptOf(attacked, session)
  expect(manifest.streams).toEqual({ stdin: 2, stdout: 5 })
  expect(shown).toBe('late\n')
})

describe('subprotocols', () => {
  test.each(['base64.channel.k8s.io', 'v4.base64.channel.k8s.io'])(
    '%s is recorded as what it carries',
    async (name) => {
      const protocol = { protocol: 'websocket', subprotocol: name } as const
      const session = await openSession(attacked, { ...protocol, target: EXEC })
      const base64 = (text: string): string => Buffer.from(text).toString('base64')
      await relay(session, 'client', clientFrame(1, `0${base64(HIDDEN)}`))
      await relay(session, 'upstream', frame(1, `1${base64('名\n')}`))
      session.client.destroy()
      await session.closed
      const { manifest, shown } = await keptOf(attacked, session)
      expect(manifest.elided).toMatchObject([{ stream: 'stdin', hash: hash(Buffer.from(HIDDEN)) }])
      expect(shown).toBe('名\n')
    },
  )

  test.each([
    ['no base64', '0$$$$'],
    ['base64 behind its padding', '0Zm9vCg==Zm9vCg=='],
    ['base64 that is not whole', '0Zm9'],
    ['a line break, which some decoders skip', '0Zm9v\nCg=='],
    ['the alphabet of URLs', '0Zm9v-_=='],
    ['a channel that is a byte', '\0Zm9vCg=='],
  ])('%s in base64.channel.k8s.io ends it', async (_, payload) => {
    const protocol = { protocol: 'websocket', subprotocol: 'v4.base64.channel.k8s.io' } as const
    const session = await openSession(attacked, { ...protocol, target: EXEC })
    session.client.write(clientFrame(1, payload))
    const text = await closingOf(session, protocol)
    expect(session.passed()).toHaveLength(0)
    const status = Buffer.from(/^\x81(?:.|~..)3(.*)$/su.exec(text)?.[1] ?? '', 'base64').toString()
    expect(status).toContain('this session must be recorded, and its bytes cannot be: ')
  })

  test('none at all is channel.k8s.io', async () => {
    const session = await openSession(attacked, { protocol: 'websocket', subprotocol: '', target: EXEC })
    await relay(session, 'client', stdin(HIDDEN))
    session.client.write(clientFrame(2, `\0${HIDDEN}`, { reserved: 0x40 }))
    await closingOf(session, WEBSOCKET)
    expect(session.passed().equals(stdin(HIDDEN))).toBe(true)
    expect((await keptOf(attacked, session)).manifest.streams).toEqual({ stdin: HIDDEN.length })
  })
})

const FORWARD = `${NAMESPACE}/pods/web/portforward`
const PAIR = { port: '8080', requestid: '0' }

/** The client's and the server's side of one forwarded connection. */
function openForward({ writer, server }: SpdyClient): { readonly sent: Buffer; readonly answered: Buffer } {
  return {
    sent: Buffer.concat([
      writer.open(1, { streamtype: 'error', ...PAIR }, 1),
      writer.open(3, { streamtype: 'data', ...PAIR }),
      data(3, 'GET / HTTP/1.0\r\n'),
    ]),
    answered: Buffer.concat([server.accept(1), server.accept(3)]),
  }
}

const FORWARD_EVASIONS: readonly (readonly [string, Evasion])[] = [
  ['a stream of an unknown type', ({ writer }) => writer.open(5, { streamtype: 'stdin', ...PAIR })],
  ['a stream to no port', ({ writer }) => writer.open(5, { streamtype: 'error', requestid: '1' })],
  [
    'a stream to a port that is none',
    ({ writer }) => writer.open(5, { streamtype: 'error', port: '0x16', requestid: '1' }),
  ],
  [
    'a second data stream',
    ({ writer }) =>
      Buffer.concat([writer.open(5, { streamtype: 'data', ...PAIR }), writer.open(7, { streamtype: 'data', ...PAIR })]),
  ],
  ['data for a stream that nobody opened', () => data(9, HIDDEN)],
  ['data on the error stream', () => data(1, HIDDEN)],
  ['data with flags that nobody knows', () => data(3, HIDDEN, 4)],
  ['an unknown control frame', () => control(11, 0, Buffer.from(HIDDEN))],
  ['headers that are not compressed', ({ writer }) => writer.openWith(5, headerBlock([['streamtype', 'data']]))],
]

describe('a port-forward ends, and nothing was passed of', () => {
  test.each(FORWARD_EVASIONS)('%s, over SPDY', async (_, evasion) => {
    const client = new SpdyClient()
    const session = await openSession(attacked, { ...SPDY_FORWARD, target: FORWARD })
    const { sent, answered } = openForward(client)
    await relay(session, 'client', sent)
    await relay(session, 'upstream', answered)
    session.client.write(Buffer.concat([evasion(client), data(3, HIDDEN)]))
    expect(await closingOf(session, SPDY_FORWARD)).toContain('this session must be recorded')
    expect(session.passed().equals(sent)).toBe(true)
    const { manifest } = await keptOf(attacked, session)
    expect(manifest.outcome?.endedBy).toMatch(UNREADABLE)
    expect(manifest.connections[0]).toMatchObject({ port: 8080, sentBytes: 16, receivedBytes: 0 })
  })

  test.each<readonly [string, Evasion]>([
    ...FORWARD_EVASIONS.map(([name, evasion]) => [name, (client: SpdyClient) => masked(evasion(client))] as const),
    ['text', () => clientFrame(1, data(3, HIDDEN))],
    ['a compressed message (RSV1)', () => clientFrame(2, data(3, HIDDEN), { reserved: 0x40 })],
    ['a message that is not masked', () => frame(2, data(3, HIDDEN))],
  ])('%s, over a tunnel', async (_, evasion) => {
    const client = new SpdyClient()
    const session = await openSession(attacked, { ...TUNNELLED_FORWARD, target: FORWARD })
    const { sent, answered } = openForward(client)
    await relay(session, 'client', masked(sent))
    await relay(session, 'upstream', frame(2, answered))
    session.client.write(Buffer.concat([evasion(client), masked(data(3, HIDDEN))]))
    expect(await closingOf(session, TUNNELLED_FORWARD)).toContain('this session must be recorded')
    expect(session.passed().equals(masked(sent))).toBe(true)
    const { manifest } = await keptOf(attacked, session)
    expect(manifest.connections[0]).toMatchObject({ port: 8080, sentBytes: 16, receivedBytes: 0 })
  })

  test.each([
    ['a channel that does not exist', onChannel(4, HIDDEN, 'client')],
    ['a channel on which only the server speaks', onChannel(1, HIDDEN, 'client')],
    ['a compressed message (RSV1)', clientFrame(2, `\0${HIDDEN}`, { reserved: 0x40 })],
    ['a fragment', clientFrame(2, `\0${HIDDEN}`, { isPart: true })],
  ])('%s, over channels', async (_, evasion) => {
    const session = await openSession(attacked, { ...CHANNELS_FORWARD, target: `${FORWARD}?ports=8080&ports=9090` })
    const ports = [8080, 8080, 9090, 9090].map((port, channel) =>
      onChannel(channel, Buffer.from([port & 0xff, port >>> 8]), 'upstream'),
    )
    await relay(session, 'upstream', Buffer.concat(ports))
    const honest = onChannel(0, 'GET', 'client')
    await relay(session, 'client', honest)
    session.client.write(Buffer.concat([onChannel(2, HIDDEN, 'client'), evasion]))
    expect(await closingOf(session, CHANNELS_FORWARD)).toContain('this session must be recorded')
    expect(session.passed().equals(honest)).toBe(true)
    expect((await keptOf(attacked, session)).manifest.outcome?.endedBy).toMatch(UNREADABLE)
  })
})

test('a WebSocket through proxy, which nobody can record, does not open', async () => {
  for (const path of ['pods/web/proxy/run', 'services/web/proxy/']) {
    const answer = await attacked.writeOnce(
      upgradeHead(attacked, {
        protocol: 'websocket',
        subprotocol: 'v5.channel.k8s.io',
        target: `${NAMESPACE}/${path}`,
      }),
    )
    await attacked.expectRefused(answer, { code: 403, reason: 'Forbidden', message: /cannot be recorded/ })
  }
})

test('a client that breaks off in the middle of a frame leaves a whole account', async () => {
  const session = await openExec(attacked, SPDY)
  await relay(session, 'client', session.stdin(HIDDEN).subarray(0, 12))
  session.client.destroy()
  if (!session.upstream.destroyed) await once(session.upstream, 'close')
  expect((await keptOf(attacked, session)).manifest).toMatchObject({ state: 'complete', streams: { stdin: 4 } })
})
