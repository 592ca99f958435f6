import { describe, expect, test } from 'vitest'
import type { SessionProtocol } from '../../src/kube/session/session-decoder.ts'
import { attackedGateway, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import {
  CHANNELS_FORWARD,
  SPDY_FORWARD,
  SpdyClient,
  TUNNELLED_FORWARD,
  closingOf,
  keptOf,
  onChannel,
  openSession,
  relay,
} from '../support/attacked-sessions.ts'
import { clientFrame, data, frame } from '../support/session-bytes.ts'

// Attack D15.
//
// One port-forward carries any number of connections, to any ports: the request names none of them. Each has to stand
// in the account with the port that the API server connects to.

const attacked = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })

const FORWARD = `${NAMESPACE}/pods/web/portforward`
const CONNECTIONS = [
  { port: 8080, sent: 'GET / HTTP/1.0\r\n', received: '200 OK' },
  { port: 22, sent: '', received: 'SSH-2.0-OpenSSH\r\n' },
  { port: 8080, sent: 'POST / HTTP/1.0\r\n\r\n', received: '' },
  { port: 65535, sent: 'x'.repeat(5_000), received: 'y'.repeat(70_000) },
] as const

const account = CONNECTIONS.map(({ port, sent, received }) => ({
  port,
  sentBytes: sent.length,
  receivedBytes: received.length,
}))

const wrapped = (protocol: SessionProtocol, side: 'client' | 'upstream', bytes: Buffer): Buffer => {
  if (protocol === SPDY_FORWARD) return bytes
  return side === 'client' ? clientFrame(2, bytes) : frame(2, bytes)
}

describe.each([
  ['SPDY', SPDY_FORWARD],
  ['a tunnel', TUNNELLED_FORWARD],
])('over %s', (_, protocol) => {
  const open = async () => {
    const { writer, server } = new SpdyClient()
    return { session: await openSession(attacked, { ...protocol, target: FORWARD }), writer, server }
  }

  test('every connection is accounted, mixed as they are', async () => {
    const { session, writer, server } = await open()
    const opened: Buffer[] = []
    const accepted: Buffer[] = []
    CONNECTIONS.forEach(({ port }, i) => {
      const pair = { port: String(port), requestid: String(i) }
      opened.push(writer.open(4 * i + 1, { streamtype: 'error', ...pair }, 1))
      opened.push(writer.open(4 * i + 3, { streamtype: 'data', ...pair }))
      accepted.push(server.accept(4 * i + 1), server.accept(4 * i + 3))
    })
    await relay(session, 'client', wrapped(protocol, 'client', Buffer.concat(opened)))
    await relay(session, 'upstream', wrapped(protocol, 'upstream', Buffer.concat(accepted)))
    const longest = Math.max(...CONNECTIONS.flatMap(({ sent, received }) => [sent.length, received.length]))
    for (let at = 0; at < longest; at += 1_500) {
      const [out, back] = [[], []] as [Buffer[], Buffer[]]
      CONNECTIONS.forEach(({ sent, received }, i) => {
        out.push(data(4 * i + 3, sent.slice(at, at + 1_500)))
        back.push(data(4 * i + 3, received.slice(at, at + 1_500)))
      })
      await relay(session, 'client', wrapped(protocol, 'client', Buffer.concat(out)))
      await relay(session, 'upstream', wrapped(protocol, 'upstream', Buffer.concat(back)))
    }
    session.client.destroy()
    await session.closed
    const { manifest } = await keptOf(attacked, session)
    expect(manifest.connections).toMatchObject(account)
    expect(manifest.droppedConnections).toBe(0)
  })

  test.each<[string, Record<string, string>, string]>([
    ['names another port for its second stream', { streamtype: 'data', port: '22', requestid: '0' }, 'different ports'],
    ['has a second error stream', { streamtype: 'error', port: '8080', requestid: '0' }, 'two streams of one kind'],
    ['names no port', { streamtype: 'data', requestid: '0' }, 'names no port'],
    ['names port 0', { streamtype: 'data', port: '0', requestid: '0' }, 'names no port'],
    ['names a port beyond the last', { streamtype: 'data', port: '65536', requestid: '0' }, 'names no port'],
    ['names two ports', { streamtype: 'data', port: '8080\u000022', requestid: '0' }, 'more than once'],
    ['names a port in another way', { streamtype: 'data', port: '+8080', requestid: '0' }, 'names no port'],
  ])('a connection that %s ends the session', async (_connection, headers, reason) => {
    const { session, writer } = await open()
    const honest = wrapped(protocol, 'client', writer.open(1, { streamtype: 'error', port: '8080', requestid: '0' }, 1))
    await relay(session, 'client', honest)
    session.client.write(wrapped(protocol, 'client', Buffer.concat([writer.open(3, headers), data(3, 'secret')])))
    await closingOf(session, protocol)
    expect(session.passed().equals(honest)).toBe(true)
    const { manifest } = await keptOf(attacked, session)
    expect(manifest.outcome?.endedBy).toContain(reason)
    expect(manifest.connections).toMatchObject([{ port: 8080, sentBytes: 0 }])
  })

  test('a client without request ids is paired as the server pairs it', async () => {
    const { session, writer } = await open()
    const pair = (id: number, port: string): Buffer =>
      Buffer.concat([writer.open(id, { streamtype: 'error', port }), writer.open(id + 2, { streamtype: 'data', port })])
    const bytes = Buffer.concat([pair(1, '80'), pair(5, '443'), data(3, 'a'), data(7, 'bc')])
    await relay(session, 'client', wrapped(protocol, 'client', bytes))
    session.client.destroy()
    await session.closed
    expect((await keptOf(attacked, session)).manifest.connections).toMatchObject([
      { port: 80, sentBytes: 1 },
      { port: 443, sentBytes: 2 },
    ])
  })

  test('a request id that is used again is another connection', async () => {
    const { session, writer } = await open()
    const pair = (id: number, port: string): Buffer =>
      Buffer.concat([
        writer.open(id, { streamtype: 'error', port, requestid: '7' }),
        writer.open(id + 2, { streamtype: 'data', port, requestid: '7' }),
      ])
    const bytes = Buffer.concat([pair(1, '80'), pair(5, '22'), data(3, 'a'), data(7, 'bc')])
    await relay(session, 'client', wrapped(protocol, 'client', bytes))
    session.client.destroy()
    await session.closed
    expect((await keptOf(attacked, session)).manifest.connections).toMatchObject([
      { port: 80, sentBytes: 1 },
      { port: 22, sentBytes: 2 },
    ])
  })
})

describe('over channels', () => {
  const begin = (ports: readonly number[]): Buffer =>
    Buffer.concat(
      ports.flatMap((port, i) =>
        [2 * i, 2 * i + 1].map((channel) => onChannel(channel, Buffer.from([port & 0xff, port >>> 8]), 'upstream')),
      ),
    )

  test('every port of the request is accounted', async () => {
    const session = await openSession(attacked, { ...CHANNELS_FORWARD, target: `${FORWARD}?ports=80,22&ports=443` })
    await relay(session, 'upstream', begin([80, 22, 443]))
    await relay(session, 'client', onChannel(2, 'ssh', 'client'))
    await relay(session, 'upstream', onChannel(4, 'tls!', 'upstream'))
    session.client.destroy()
    await session.closed
    expect((await keptOf(attacked, session)).manifest.connections).toMatchObject([
      { port: 80, sentBytes: 0, receivedBytes: 0 },
      { port: 22, sentBytes: 3, receivedBytes: 0 },
      { port: 443, sentBytes: 0, receivedBytes: 4 },
    ])
  })

  test('a server that connected to another port than it was asked for ends it', async () => {
    const session = await openSession(attacked, { ...CHANNELS_FORWARD, target: `${FORWARD}?ports=80` })
    session.upstream.write(begin([22]))
    await closingOf(session, CHANNELS_FORWARD)
    expect((await keptOf(attacked, session)).manifest.outcome?.endedBy).toContain('begins with another port')
  })

  test.each(['ports=80&ports=abc', 'ports=', 'ports=0', 'ports=80,,22', 'ports=65616', 'ports=80.5', 'ports=0x50'])(
    '%s, which names what is no port, ends it',
    async (query) => {
      const session = await openSession(attacked, { ...CHANNELS_FORWARD, target: `${FORWARD}?${query}` })
      session.client.write(onChannel(0, 'secret', 'client'))
      await closingOf(session, CHANNELS_FORWARD)
      expect(session.passed()).toHaveLength(0)
    },
  )
})
