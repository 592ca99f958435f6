import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import { SPDY, WEBSOCKET, keptOf, openExec } from '../support/attacked-sessions.ts'
import { clientFrame, data, frame } from '../support/session-bytes.ts'

// Attack D19.
//
// One side of a tunnel ends and what it sent is still on its way: a proxy that closes both at once cuts off the end of
// a copy, and nobody is told.

const attacked = attackedGateway({ policy: EVERYTHING })

const BYTES = 8 * 1024 * 1024
const TRANSPORTS = [
  [
    'SPDY',
    'POST',
    ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io'],
    'Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n',
  ],
  [
    'a WebSocket',
    'GET',
    [
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol: v5.channel.k8s.io',
    ],
    'Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n',
  ],
] as const

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe.each(TRANSPORTS)('over %s', (_, method, lines, switched) => {
  async function open(first = Buffer.alloc(0)): Promise<{ client: TLSSocket; upstream: Duplex; early: Buffer }> {
    const joined = new Promise<Duplex>((resolve) => {
      attacked.apiServer.onUpgrade = (_request, socket) => {
        socket.write(
          Buffer.concat([
            Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${switched}\r\n`),
            first,
          ]),
        )
        resolve(socket)
      }
    })
    const client = await attacked.connect()
    client.write(attacked.head(method, `${NAMESPACE}/pods/web/exec?command=tar`, ['Connection: Upgrade', ...lines]))
    const upstream = await joined
    let got = Buffer.alloc(0)
    while (!got.includes('\r\n\r\n')) got = Buffer.concat([got, ((await once(client, 'data')) as [Buffer])[0]])
    client.pause()
    return { client, upstream, early: got.subarray(got.indexOf('\r\n\r\n') + 4) }
  }

  test('all that the API server sent before it ended arrives, however slowly it is read', async () => {
    const sent = randomBytes(BYTES)
    const { client, upstream, early } = await open()
    upstream.end(sent)
    const received = [early]
    for await (const chunk of client) {
      received.push(chunk as Buffer)
      if (received.length % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(hash(Buffer.concat(received))).toBe(hash(sent))
  })

  test('all that the client sent before it ended arrives', async () => {
    const sent = randomBytes(BYTES)
    const { client, upstream } = await open()
    client.end(sent)
    client.resume()
    const received: Buffer[] = []
    for await (const chunk of upstream) received.push(chunk as Buffer)
    expect(hash(Buffer.concat(received))).toBe(hash(sent))
  })

  test('what came with the 101 arrives first', async () => {
    const { client, upstream, early } = await open(Buffer.from('first'))
    upstream.end('second')
    const rest = Buffer.concat((await client.toArray()) as Buffer[])
    expect(Buffer.concat([early, rest]).toString()).toBe('firstsecond')
  })

  test('one that breaks off ends the other', async () => {
    const { client, upstream } = await open()
    client.destroy()
    await once(upstream.resume(), 'close')
    const again = await open()
    again.upstream.destroy()
    await once(again.client.resume(), 'close')
    expect(attacked.seen).toHaveLength(2)
  })
})

describe('with its recording required', () => {
  const recorded = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })

  const frames = (bytes: Buffer, toFrame: (part: Buffer) => Buffer): Buffer => {
    const parts: Buffer[] = []
    for (let at = 0; at < bytes.length; at += 30_011) parts.push(toFrame(bytes.subarray(at, at + 30_011)))
    return Buffer.concat(parts)
  }
  const sha256 = (bytes: Buffer): string => `sha256:${hash(bytes)}`

  test.each([
    ['SPDY', SPDY],
    ['a WebSocket', WEBSOCKET],
  ])('over %s all that either side sent before it ended arrives, and is in the account', async (_, protocol) => {
    const [typed, said] = [randomBytes(BYTES / 2), randomBytes(BYTES / 2)]
    const session = await openExec(recorded, protocol)
    const isSpdy = protocol === SPDY
    const fromClient = Buffer.concat([
      frames(typed, session.stdin),
      isSpdy ? data(3, '', 1) : clientFrame(2, Buffer.from([255, 0])),
    ])
    const success = '{"metadata":{},"status":"Success"}'
    const fromUpstream = Buffer.concat([
      frames(said, session.stdout),
      isSpdy ? data(1, success, 1) : frame(2, `\x03${success}`),
      isSpdy ? data(5, '', 1) : frame(8, Buffer.from([0x03, 0xe8])),
    ])
    const [atUpstream, atClient] = [createHash('sha256'), createHash('sha256')]
    session.upstream.on('data', (chunk: Buffer) => atUpstream.update(chunk))
    session.client.on('data', (chunk: Buffer) => atClient.update(chunk))
    session.client.write(fromClient)
    await expect.poll(() => session.passedBytes() - session.prologue.length).toBe(fromClient.length)
    session.upstream.end(fromUpstream)
    await session.closed
    expect(atUpstream.digest('hex')).toBe(hash(fromClient))
    expect(atClient.digest('hex')).toBe(hash(fromUpstream))
    const { manifest } = await keptOf(recorded, session)
    expect(manifest).toMatchObject({
      state: 'complete',
      incomplete: '',
      outcome: { exitCode: 0, endedBy: '' },
      streams: { stdin: typed.length, stdout: said.length },
    })
    expect(manifest.elided.map(({ stream, hash: kept }) => [stream, kept])).toEqual(
      expect.arrayContaining([
        ['stdin', sha256(typed)],
        ['stdout', sha256(said)],
      ]),
    )
  })

  test('what a client sent before it ended arrives, and is recorded', async () => {
    const session = await openExec(recorded, SPDY)
    session.client.end(session.stdin('last line\n'))
    await session.closed
    expect(session.passed().equals(Buffer.concat([session.prologue, session.stdin('last line\n')]))).toBe(true)
    expect((await keptOf(recorded, session)).manifest).toMatchObject({ state: 'complete', streams: { stdin: 10 } })
  })
})
