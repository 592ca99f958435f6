import { describe, expect, test } from 'vitest'
import { type Turn, feed, portForward, refusalOf, toldOf } from '../../../test/support/decoded-session.ts'
import { SpdyWriter, clientFrame, data, frame, goAway, reset } from '../../../test/support/session-bytes.ts'
import { MAX_CLOSED_CONNECTIONS, MAX_OPEN_CONNECTIONS, SpdyPortForward } from './port-forward-spdy.ts'
import { failure } from '../status.ts'

const FIN = 1
const [TEXT, BINARY, CLOSE] = [1, 2, 8] as const
const spdy = { protocol: 'SPDY/3.1', subprotocol: 'portforward.k8s.io' } as const
const tunnel = { protocol: 'websocket', subprotocol: 'SPDY/3.1+portforward.k8s.io' } as const
const channels = { protocol: 'websocket', subprotocol: 'v4.channel.k8s.io' } as const
const fromClient = (...frames: Uint8Array[]): Turn => ({ from: 'client', bytes: Buffer.concat(frames) })
const fromUpstream = (...frames: Uint8Array[]): Turn => ({ from: 'upstream', bytes: Buffer.concat(frames) })
const idle = failure(403, 'Forbidden', 'the session was idle')

/** One side after the other, as kubectl and the kubelet take them. */
class Peers {
  readonly #client = new SpdyWriter()
  readonly #upstream = new SpdyWriter()

  open(id: number, headers: Record<string, string>): Turn[] {
    return [fromClient(this.#client.open(id, headers)), fromUpstream(this.#upstream.accept(id))]
  }

  connect(id: number, port: number, requestid = String(id)): Turn[] {
    const headers = { port: String(port), ...(requestid === '' ? {} : { requestid }) }
    return [
      ...this.open(id, { ...headers, streamtype: 'error' }),
      fromClient(data(id, '', FIN)),
      ...this.open(id + 2, { ...headers, streamtype: 'data' }),
    ]
  }
}

/** What the server sends at the end of a connection. */
const end = (id: number) => fromUpstream(data(id, '', FIN), data(id + 2, '', FIN))

describe('a port-forward over SPDY', () => {
  test('is told connection by connection', () => {
    const peers = new Peers()
    const told = toldOf(portForward(spdy), [
      ...peers.connect(1, 80),
      ...peers.connect(5, 443),
      fromClient(data(3, 'GET /'), data(7, 'hello')),
      fromUpstream(data(7, 'hi'), data(3, '200 OK'), data(3, ' indeed')),
      end(1),
      fromClient(reset(3), goAway(0)),
    ])
    expect(told).toEqual([
      '1 opened to 80',
      '2 opened to 443',
      '1 sent 5 ""',
      '2 sent 5 ""',
      '2 received 2 ""',
      '1 received 13 ""',
      '1 closed',
    ])
  })

  test('pairs the streams of clients without request ids as the server does', () => {
    const peers = new Peers()
    expect(
      toldOf(portForward(spdy), [...peers.connect(1, 80, ''), end(1), ...peers.connect(5, 81, ''), end(5)]),
    ).toEqual(['1 opened to 80', '1 closed', '2 opened to 81', '2 closed'])
  })

  test('tells what the server said of a failure, as far as it is kept', () => {
    const peers = new Peers()
    const told = toldOf(portForward(spdy), [
      ...peers.connect(1, 9),
      fromUpstream(data(1, 'connection '), data(1, 'refused'), reset(3), reset(1)),
      ...peers.connect(5, 9),
      fromUpstream(data(5, `${'é'.repeat(511)}xé`), data(5, 'x', FIN), data(7, '', FIN)),
    ])
    expect(told).toEqual([
      '1 opened to 9',
      '1 failed: connection refused',
      '1 closed',
      '2 opened to 9',
      `2 failed: ${'é'.repeat(511)}x`,
      '2 closed',
    ])
  })

  test('counts what the server goes on to send after the client reset both streams', () => {
    const peers = new Peers()
    const told = toldOf(portForward(spdy), [
      ...peers.connect(1, 22),
      fromClient(reset(3), reset(1)),
      fromUpstream(data(3, 'secret')),
      end(1),
      fromUpstream(data(3, 'late')),
      fromClient(data(3, 'later')),
    ])
    expect(told).toEqual(['1 opened to 22', '1 received 6 ""', '1 closed', '1 received 4 ""', '1 sent 5 ""'])
  })

  const quiet = () => {
    const [told, ignored] = [{ opened: 0, closed: 0 }, () => undefined]
    const opened = () => (told.opened += 1)
    const closed = () => (told.closed += 1)
    return { told, streams: new SpdyPortForward({ opened, closed, passed: ignored, failed: ignored }) }
  }
  const headersOf = (streamtype: string, requestid: number) =>
    new Map(Object.entries({ streamtype, port: '80', requestid: String(requestid) }))

  test('carries any number of connections one after the other, and forgets those that are long closed', () => {
    const { told, streams } = quiet()
    const count = MAX_CLOSED_CONNECTIONS + 100
    for (let i = 0; i < count; i++) {
      for (const [id, type] of [
        [1 + 4 * i, 'error'],
        [3 + 4 * i, 'data'],
      ] as const) {
        streams.open(id, headersOf(type, i)).sinks.upstream.ended()
      }
    }
    expect(told).toEqual({ opened: count, closed: count })
    expect([3, 395, 399, 403].map((id) => streams.find(id) !== undefined)).toEqual([false, false, false, true])
  })

  test('is refused with too many connections at a time', () => {
    const { streams } = quiet()
    for (let i = 0; i < MAX_OPEN_CONNECTIONS; i++) streams.open(1 + 2 * i, headersOf('data', i))
    expect(() => streams.open(2 * MAX_OPEN_CONNECTIONS + 1, headersOf('data', -1))).toThrow(
      'too many connections are forwarded',
    )
  })

  const first = { streamtype: 'error', port: '80', requestid: '0' }
  test.each<[string, Record<string, string>]>([
    ['no type', { port: '80' }],
    ['an unknown type', { ...first, streamtype: 'stdin' }],
    ['no port', { streamtype: 'data' }],
    ['port 0', { ...first, port: '0' }],
    ['port 65536', { ...first, port: '65536' }],
    ['a signed port', { ...first, port: '+80' }],
    ['a port in words', { ...first, port: 'http' }],
    ['a port with more behind it', { ...first, port: '80\n' }],
    ['a request id without end', { ...first, requestid: 'x'.repeat(65) }],
  ])('is refused with %s', (_, headers) => {
    expect(refusalOf(portForward(spdy), new Peers().open(1, headers))).toMatch(/stream|request id/)
  })

  test.each([
    [
      'another port',
      { ...first, streamtype: 'data', port: '22' },
      'the two streams of a connection name different ports',
    ],
    ['two of one kind', first, 'a connection has two streams of one kind'],
  ])('is refused with a pair of streams that have %s', (_, second, message) => {
    const peers = new Peers()
    expect(refusalOf(portForward(spdy), [...peers.open(1, first), ...peers.open(3, second)])).toBe(message)
  })

  test('is refused with data of the client on an error stream', () => {
    const turns = [...new Peers().connect(1, 80), fromClient(data(1, 'x'))]
    expect(refusalOf(portForward(spdy), turns)).toContain('wrong direction')
  })

  test('ends with the reason on each open connection', () => {
    const peers = new Peers()
    const turns = [...peers.connect(1, 80), ...peers.connect(5, 81), end(1), ...peers.connect(9, 82)]
    const decoding = portForward(spdy)
    feed(decoding, turns)
    expect(decoding.decoder.bytesSinceBoundary).toBe(0)
    const ending = fromUpstream(decoding.decoder.ending(idle))
    expect(toldOf(portForward(spdy), [...turns, ending]).slice(-4)).toEqual([
      '2 failed: the session was idle',
      '2 closed',
      '3 failed: the session was idle',
      '3 closed',
    ])
    expect(portForward(spdy).decoder.ending(idle)).toEqual(goAway(0))
  })
})

describe('a port-forward over SPDY in a WebSocket', () => {
  /** In messages whose bounds fall anywhere, one in two fragments. */
  const tunnelled = ({ from, bytes }: Turn): Turn => {
    const write = from === 'client' ? clientFrame : frame
    const [one, two] = [Math.floor(bytes.length / 3), Math.floor(bytes.length / 2)]
    const frames = [
      write(BINARY, bytes.subarray(0, one)),
      write(BINARY, bytes.subarray(one, two), { isPart: true }),
      write(9, 'ping'),
      write(0, bytes.subarray(two)),
    ]
    return { from, bytes: Buffer.concat(frames) }
  }

  test('is told as without', () => {
    const peers = new Peers()
    const turns = [
      ...peers.connect(1, 80),
      fromClient(data(3, 'GET /'.repeat(50_000))),
      fromUpstream(data(3, '200 OK')),
      ...peers.connect(5, 9),
      fromUpstream(data(5, 'refused', FIN), reset(7)),
      end(1),
    ]
    expect(toldOf(portForward(tunnel), turns.map(tunnelled))).toEqual(toldOf(portForward(spdy), turns))
  })

  test('ends with the reason and the code 1000, behind a whole frame of both', () => {
    const turns = new Peers().connect(1, 80)
    const decoding = portForward(tunnel)
    feed(decoding, turns.map(tunnelled))
    expect(decoding.decoder.bytesSinceBoundary).toBe(0)
    const ending = decoding.decoder.ending(idle)
    expect([...ending.subarray(-4)]).toEqual([0x88, 2, 3, 232])
    const told = toldOf(portForward(tunnel), [...turns.map(tunnelled), fromUpstream(ending)])
    expect(told.slice(-2)).toEqual(['1 failed: the session was idle', '1 closed'])
    feed(decoding, [fromUpstream(frame(BINARY, data(3, 'abc').subarray(0, 9)))])
    expect(decoding.decoder.bytesSinceBoundary).toBe(11)
    feed(decoding, [fromUpstream(frame(10, ''), frame(BINARY, data(3, 'abc').subarray(9)))])
    expect(decoding.decoder.bytesSinceBoundary).toBe(0)
    feed(decoding, [fromUpstream(ending)])
    expect(decoding.decoder.ending(idle)).toHaveLength(0)
  })

  test('is refused with text, and with what is refused without a tunnel', () => {
    expect(refusalOf(portForward(tunnel), [fromClient(clientFrame(TEXT, 'x'))])).toContain('wrong type')
    expect(refusalOf(portForward(tunnel), [tunnelled(fromClient(data(1, 'x')))])).toContain('nobody opened')
  })
})

describe('a port-forward over channels', () => {
  const port = (channel: number, number: number) => Buffer.from([channel, number & 255, number >>> 8])

  test('is told port by port', () => {
    const told = toldOf(portForward(channels, [80, 8080]), [
      fromClient(clientFrame(BINARY, '\0GET /')),
      fromUpstream(frame(BINARY, port(0, 80)), frame(BINARY, port(1, 80)), frame(BINARY, port(2, 8080))),
      fromUpstream(frame(BINARY, Buffer.concat([port(3, 8080), Buffer.from('refused')]))),
      fromUpstream(frame(BINARY, '\0ok'), frame(CLOSE, '')),
    ])
    expect(told).toEqual([
      '1 opened to 80',
      '2 opened to 8080',
      '1 sent 5 ""',
      '2 failed: refused',
      '1 received 2 ""',
      '1 closed',
      '2 closed',
    ])
  })

  test('is decoded from base64', () => {
    const told = toldOf(portForward({ ...channels, subprotocol: 'v4.base64.channel.k8s.io' }, [80]), [
      fromUpstream(frame(TEXT, '0UABoaQ==')),
      fromClient(clientFrame(TEXT, '0bHM=')),
    ])
    expect(told).toEqual(['1 opened to 80', '1 received 2 ""', '1 sent 2 ""'])
  })

  test.each<[string, Turn]>([
    ['data on an error channel', fromClient(clientFrame(BINARY, '\x01x'))],
    ['a channel without a port', fromClient(clientFrame(BINARY, '\x02x'))],
    ['another port than was asked for', fromUpstream(frame(BINARY, port(0, 81)))],
    ['a channel without a port from upstream', fromUpstream(frame(BINARY, port(2, 80)))],
  ])('is refused with %s', (_, turn) => {
    expect(refusalOf(portForward(channels, [80]), [turn])).toMatch(/channel/)
  })

  test('is refused with more ports than there are channels', () => {
    const ports = Array.from({ length: 129 }, (_, i) => i + 1)
    expect(refusalOf(portForward(channels, ports), [fromClient(new Uint8Array(1))])).toBe(
      'too many ports are forwarded',
    )
  })

  test.each([NaN, 0, -1, 80.5, 65_536 + 80])('is refused with %d, which is no port', (asked) => {
    expect(refusalOf(portForward(channels, [80, asked]), [fromClient(new Uint8Array(1))])).toBe(
      'a port is asked for that is none',
    )
  })

  test('ends with the reason on each error channel', () => {
    const decoding = portForward(channels, [80, 81])
    const prologue = fromUpstream(...[0, 1, 2, 3].map((channel) => frame(BINARY, port(channel, channel < 2 ? 80 : 81))))
    feed(decoding, [prologue])
    const told = toldOf(portForward(channels, [80, 81]), [prologue, fromUpstream(decoding.decoder.ending(idle))])
    expect(told.slice(2)).toEqual([
      '1 failed: the session was idle',
      '2 failed: the session was idle',
      '1 closed',
      '2 closed',
    ])
  })
})
