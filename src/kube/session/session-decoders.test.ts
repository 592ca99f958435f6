import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Decoding,
  type Turn,
  cut,
  feed,
  isFault,
  portForward,
  remoteCommand,
  toldOf,
} from '../../../test/support/decoded-session.ts'
import {
  SpdyWriter,
  clientFrame,
  data,
  frame,
  goAway,
  ping,
  reset,
  settings,
} from '../../../test/support/session-bytes.ts'
import { type SessionProtocol, UndecodableError } from './session-decoder.ts'
import { createRemoteCommandDecoder } from './session-decoders.ts'

const FIN = 1
const [TEXT, BINARY] = [1, 2] as const
const fromClient = (...frames: Uint8Array[]): Turn => ({ from: 'client', bytes: Buffer.concat(frames) })
const fromUpstream = (...frames: Uint8Array[]): Turn => ({ from: 'upstream', bytes: Buffer.concat(frames) })

function spdyRemoteCommand(types: readonly string[]): Turn[] {
  const [client, upstream] = [new SpdyWriter(), new SpdyWriter()]
  return [
    ...types.flatMap((streamtype, i) => [
      fromClient(client.open(2 * i + 1, { streamtype }), ping(2 * i + 1)),
      fromUpstream(upstream.accept(2 * i + 1)),
    ]),
    fromClient(settings(2), data(3, 'ls\n'), data(3, 'x'.repeat(300)), data(3, '', FIN)),
    fromUpstream(data(5, 'wörld'), data(7, 'bad'), ping(1), data(5, 'y'.repeat(300)), data(1, '{"status":"Success"}')),
    fromUpstream(reset(1), data(5, '', FIN), reset(7), goAway(9)),
    fromClient(reset(5), goAway(0)),
  ]
}

function webSocketRemoteCommand(isBase64: boolean): Turn[] {
  const message = (write: typeof frame, channel: number, payload: string): Buffer =>
    isBase64
      ? write(TEXT, `${channel}${Buffer.from(payload).toString('base64')}`)
      : write(BINARY, Buffer.concat([Buffer.from([channel]), Buffer.from(payload)]))
  return [
    fromUpstream(message(frame, 1, '')),
    fromClient(message(clientFrame, 4, '{"Width":80}\n'), clientFrame(9, 'ping'), message(clientFrame, 0, 'ls\n')),
    fromUpstream(frame(10, 'ping'), message(frame, 1, 'wörld'), message(frame, 2, 'x'.repeat(300)), frame(9, '')),
    fromClient(message(clientFrame, 0, 'y'.repeat(300)), clientFrame(10, '')),
    fromUpstream(message(frame, 3, '{"status":"Success"}'), frame(8, Buffer.from([3, 232]))),
    fromClient(clientFrame(8, Buffer.from([3, 232]))),
  ]
}

function spdyPortForward(): Turn[] {
  const [client, upstream] = [new SpdyWriter(), new SpdyWriter()]
  return [1, 5, 9].flatMap((id) => [
    fromClient(
      client.open(id, { streamtype: 'error', port: String(80 + id), requestid: String(id) }),
      data(id, '', FIN),
    ),
    fromUpstream(upstream.accept(id)),
    fromClient(client.open(id + 2, { streamtype: 'data', port: String(80 + id), requestid: String(id) })),
    fromUpstream(upstream.accept(id + 2)),
    fromClient(data(id + 2, 'x'.repeat(200)), data(id + 2, '', FIN)),
    fromUpstream(data(id + 2, 'y'.repeat(200)), data(id, 'refused', FIN), data(id + 2, '', FIN)),
  ])
}

function tunnelled(turns: readonly Turn[]): Turn[] {
  return turns.map(({ from, bytes }) => {
    const write = from === 'client' ? clientFrame : frame
    const half = Math.floor(bytes.length / 2)
    const frames = [write(BINARY, bytes.subarray(0, half), { isPart: true }), write(0, bytes.subarray(half))]
    return { from, bytes: Buffer.concat(frames) }
  })
}

function channels(isBase64: boolean): Turn[] {
  const message = (write: typeof frame, channel: number, payload: string): Buffer =>
    isBase64
      ? write(TEXT, `${channel}${Buffer.from(payload, 'latin1').toString('base64')}`)
      : write(BINARY, Buffer.concat([Buffer.from([channel]), Buffer.from(payload, 'latin1')]))
  return [
    fromUpstream(...[0, 1, 2, 3].map((channel) => message(frame, channel, channel < 2 ? 'P\0' : '\x90\x1f'))),
    fromClient(message(clientFrame, 0, 'x'.repeat(200)), message(clientFrame, 2, 'abc')),
    fromUpstream(message(frame, 2, 'y'.repeat(200)), message(frame, 1, 'refused'), message(frame, 0, 'abc')),
    fromUpstream(frame(8, '')),
  ]
}

interface Sample {
  readonly name: string
  readonly decode: () => Decoding
  readonly turns: readonly Turn[]
}

const ALL = ['error', 'stdin', 'stdout', 'stderr', 'resize']
const execs: [SessionProtocol, Turn[]][] = [
  [{ protocol: 'SPDY/3.1', subprotocol: 'v5.channel.k8s.io' }, spdyRemoteCommand(ALL)],
  [{ protocol: 'SPDY/3.1', subprotocol: 'v4.channel.k8s.io' }, spdyRemoteCommand(ALL)],
  [{ protocol: 'SPDY/3.1', subprotocol: 'v3.channel.k8s.io' }, spdyRemoteCommand(ALL)],
  [{ protocol: 'SPDY/3.1', subprotocol: 'v2.channel.k8s.io' }, spdyRemoteCommand(ALL.slice(0, 4))],
  [{ protocol: 'SPDY/3.1', subprotocol: 'channel.k8s.io' }, spdyRemoteCommand(ALL.slice(0, 4))],
  [{ protocol: 'websocket', subprotocol: 'v5.channel.k8s.io' }, webSocketRemoteCommand(false)],
  [{ protocol: 'websocket', subprotocol: 'v4.channel.k8s.io' }, webSocketRemoteCommand(false)],
  [{ protocol: 'websocket', subprotocol: 'v4.base64.channel.k8s.io' }, webSocketRemoteCommand(true)],
  [{ protocol: 'websocket', subprotocol: 'channel.k8s.io' }, webSocketRemoteCommand(false)],
  [{ protocol: 'websocket', subprotocol: 'base64.channel.k8s.io' }, webSocketRemoteCommand(true)],
  [{ protocol: 'websocket', subprotocol: '' }, webSocketRemoteCommand(false)],
]
const forwards: [SessionProtocol, Turn[]][] = [
  [{ protocol: 'SPDY/3.1', subprotocol: 'portforward.k8s.io' }, spdyPortForward()],
  [{ protocol: 'websocket', subprotocol: 'SPDY/3.1+portforward.k8s.io' }, tunnelled(spdyPortForward())],
  [{ protocol: 'websocket', subprotocol: 'v4.channel.k8s.io' }, channels(false)],
  [{ protocol: 'websocket', subprotocol: 'v4.base64.channel.k8s.io' }, channels(true)],
]
const nameOf = ({ protocol, subprotocol }: SessionProtocol): string => `"${subprotocol}" over ${protocol}`
const samples: Sample[] = [
  ...execs.map(([protocol, turns]) => ({
    name: `an exec of ${nameOf(protocol)}`,
    decode: () => remoteCommand(protocol),
    turns,
  })),
  ...forwards.map(([protocol, turns]) => ({
    name: `a port-forward of ${nameOf(protocol)}`,
    decode: () => portForward(protocol, [80, 8080]),
    turns,
  })),
]

const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), {
  minLength: 1,
  maxLength: 12,
})
const SPLITS_EACH = 10_000

describe.each(samples)('$name', ({ decode, turns }) => {
  test('is told the same however its bytes are cut', () => {
    const whole = toldOf(decode(), turns)
    expect(whole.length).toBeGreaterThan(4)
    let splits = 0
    fc.assert(
      fc.property(fractions, (where) => {
        const decoding = decode()
        const pieces = cut(turns, where)
        splits += pieces.length - turns.length
        feed(decoding, pieces)
        const isSame = decoding.told.join('\n') === whole.join('\n') && decoding.decoder.bytesSinceBoundary === 0
        if (!isSame) expect(decoding.told).toEqual(whole)
        return isSame
      }),
      { numRuns: 200 },
    )
    expect(splits).toBeGreaterThan(SPLITS_EACH)
  })

  test('is read or refused, and nothing else, whatever is changed', () => {
    const change = fc.record({ turn: fc.nat(), at: fc.nat(), remove: fc.nat(3), add: fc.uint8Array({ maxLength: 3 }) })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fractions, (changes, where) => {
        const changed = [...turns]
        for (const { turn, at, remove, add } of changes) {
          const index = turn % changed.length
          const { from, bytes } = changed[index] ?? fromClient()
          const place = at % bytes.length
          changed[index] = {
            from,
            bytes: Buffer.concat([bytes.subarray(0, place), add, bytes.subarray(place + remove)]),
          }
        }
        let refusal: unknown
        const decoding = decode()
        for (const piece of cut(changed, where)) {
          try {
            feed(decoding, [piece])
            if (refusal !== undefined) throw new Error('the decoder goes on after it threw')
          } catch (error) {
            refusal ??= error
            if (error !== refusal || !(error instanceof UndecodableError) || isFault(error)) throw error
          }
        }
      }),
      { numRuns: 100 },
    )
  })
})

test('a stream of any length is read in memory of one size', () => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const [client, upstream] = [new SpdyWriter(), new SpdyWriter()]
  const spdy = quiet({ protocol: 'SPDY/3.1', subprotocol: 'v4.channel.k8s.io' })
  feed(spdy, [fromClient(client.open(1, { streamtype: 'stdin' })), fromUpstream(upstream.accept(1))])
  const webSocket = quiet({ protocol: 'websocket', subprotocol: 'v5.channel.k8s.io' })
  const [inSpdy, inWebSocket] = [
    fromClient(data(1, chunk)),
    fromClient(clientFrame(BINARY, Buffer.concat([Buffer.alloc(1), chunk]))),
  ]
  const before = process.memoryUsage()
  for (let i = 0; i < 1024; i++) {
    feed(spdy, [inSpdy])
    feed(webSocket, [inWebSocket])
  }
  const after = process.memoryUsage()
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(4 * 1024 * 1024)
})

/** Tells nothing, which would take memory itself. */
function quiet(protocol: SessionProtocol): Pick<Decoding, 'decoder'> {
  const ignored = (): void => undefined
  const observer = { wanted: new Set(['stdin'] as const), passed: ignored, data: ignored, ended: ignored }
  const options = { stdin: true, stdout: true, stderr: true, tty: true }
  return { decoder: createRemoteCommandDecoder(protocol, options, observer) }
}
