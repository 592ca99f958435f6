import { describe, expect, test } from 'vitest'
import { type Turn, feed, refusalOf, remoteCommand, toldOf } from '../../../test/support/decoded-session.ts'
import {
  SpdyWriter,
  control,
  data,
  goAway,
  ping,
  reset,
  settings,
  uint32,
} from '../../../test/support/session-bytes.ts'
import { MAX_CONTROL_BYTES, MAX_SETTINGS } from './spdy-frames.ts'
import { failure } from '../status.ts'

const v4 = { protocol: 'SPDY/3.1', subprotocol: 'v4.channel.k8s.io' } as const
const FIN = 1
const fromClient = (...frames: Uint8Array[]): Turn => ({ from: 'client', bytes: Buffer.concat(frames) })
const fromUpstream = (...frames: Uint8Array[]): Turn => ({ from: 'upstream', bytes: Buffer.concat(frames) })

/** Both sides' writers, and the streams that kubectl opens, in its order. */
function opened(types = ['error', 'stdin', 'stdout', 'stderr', 'resize']) {
  const [client, upstream] = [new SpdyWriter(), new SpdyWriter()]
  const turns = types.flatMap((streamtype, i) => [
    fromClient(client.open(2 * i + 1, { streamtype })),
    fromUpstream(upstream.accept(2 * i + 1)),
  ])
  return { client, upstream, turns }
}

describe('an exec over SPDY', () => {
  test('is told stream by stream', () => {
    const { turns } = opened()
    const told = toldOf(remoteCommand(v4), [
      ...turns,
      fromClient(data(9, '{"Width":80,"Height":24}\n'), ping(1), data(3, 'ls\n'), data(3, '', FIN)),
      fromUpstream(ping(1), data(5, 'a'), data(7, 'b'), data(5, 'c'), data(1, '{"status":"Success"}')),
      fromUpstream(reset(1), reset(3), reset(5), data(7, '', FIN), goAway(9)),
      fromClient(reset(9), goAway(0)),
    ])
    expect(told).toEqual([
      'resize passed 25 "{\\"Width\\":80,\\"Height\\":24}\\n"',
      'stdin passed 3 "ls\\n"',
      'stdin ended',
      'stdout passed 1 "a"',
      'stderr passed 1 "b"',
      'stdout passed 1 "c"',
      'error passed 20 "{\\"status\\":\\"Success\\"}"',
      'error ended',
      'stdout ended',
      'stderr ended',
      'resize ended',
    ])
  })

  test('counts what is not wanted', () => {
    const { turns } = opened()
    const told = toldOf(remoteCommand(v4, {}, ['stdout']), [
      ...turns,
      fromClient(data(3, 'secret')),
      fromUpstream(data(5, 'x')),
    ])
    expect(told).toEqual(['stdin passed 6 ""', 'stdout passed 1 "x"'])
  })

  test('is told even where honest peers are late: stdin after its end, and output after the client reset it', () => {
    const { turns } = opened()
    const told = toldOf(remoteCommand(v4), [
      ...turns,
      fromUpstream(data(3, '', FIN), reset(3)),
      fromClient(data(3, '', FIN), data(3, 'typed'), reset(5), reset(3)),
      fromUpstream(data(5, 'late'), data(5, '', FIN), data(5, 'later')),
    ])
    expect(told).toEqual([
      'stdin ended',
      'stdin passed 5 "typed"',
      'stdout passed 4 "late"',
      'stdout ended',
      'stdout passed 5 "later"',
    ])
  })

  test('may begin with a stream that its sender has closed', () => {
    const [client, upstream] = [new SpdyWriter(), new SpdyWriter()]
    const told = toldOf(remoteCommand(v4), [
      fromClient(client.open(1, { streamtype: 'stdin' }, FIN), client.open(3, { streamtype: 'stdout' })),
      fromUpstream(upstream.accept(1), upstream.accept(3, FIN)),
    ])
    expect(told).toEqual(['stdin ended', 'stdout ended'])
  })

  const open = (id: number, streamtype: string, flags = 0) => new SpdyWriter().open(id, { streamtype }, flags)
  const big = Buffer.alloc(8)
  big.set([0x80, 3, 0, 1, 0, 1, 0, 1])
  test.each<[string, Uint8Array]>([
    ['a stream of an unknown type', open(1, 'stdlog')],
    ['a stream of a known type in other letters', open(1, 'STDIN')],
    ['a stream named like what every object has', open(1, 'constructor')],
    ['a stream without a type', new SpdyWriter().open(1, {})],
    ['an even id', open(2, 'error')],
    ['the id 0', open(0, 'error')],
    ['an id with the top bit', open(0x80000001, 'error')],
    ['a stream that only the client may write to', open(1, 'stdin', 2)],
    ['data for a stream that was not opened', data(3, 'x')],
    ['data for no stream', data(0, 'x')],
    ['data with unknown flags', Buffer.concat([open(1, 'stdin'), data(1, 'x', 2)])],
    ['data on stdout', Buffer.concat([open(1, 'stdout'), data(1, 'x')])],
    ['data on the error stream', Buffer.concat([open(1, 'error'), data(1, 'x')])],
    ['an answer of the client', control(2, 0, uint32(1))],
    ['a reset of nothing', reset(1)],
    ['a reset without a status', Buffer.concat([open(1, 'error'), reset(1, 0)])],
    ['headers in mid-stream', control(8, 0, uint32(1))],
    ['a control frame of no type', control(0, 0, uint32(1))],
    ['a control frame of type 5', control(5, 0, uint32(1))],
    ['a control frame of type 10', control(10, 0, uint32(1))],
    ['a SPDY/2 frame', control(6, 0, uint32(1), 2)],
    ['a ping that is too long', control(6, 0, Buffer.alloc(12, 1))],
    ['a ping without an id', ping(0)],
    ['a ping with flags', control(6, 1, uint32(1))],
    ['a GOAWAY that is too long', control(7, 0, Buffer.alloc(9))],
    ['a window update that is too short', control(9, 0, Buffer.alloc(4))],
    ['more settings than there may be', settings(MAX_SETTINGS + 1)],
    ['more settings than there are', settings(2, 1)],
    ['fewer settings than there are', settings(1, 2)],
    ['a control frame that is too long, as soon as its head says so', big],
  ])('is refused with %s', (_, bytes) => {
    const decoding = remoteCommand(v4)
    expect(refusalOf(decoding, [fromClient(bytes)])).toMatch(/SPDY|stream|stdout|error/)
    expect(decoding.told).toEqual([])
  })

  test('is let through with what changes nothing', () => {
    expect(toldOf(remoteCommand(v4), [fromClient(settings(1), control(9, 0, Buffer.alloc(8, 1)), goAway(0))])).toEqual(
      [],
    )
    expect(MAX_CONTROL_BYTES).toBe(0x10000)
  })

  test.each<[string, string, object]>([
    ['stdin', v4.subprotocol, { stdin: false }],
    ['stdout', v4.subprotocol, { stdout: false }],
    ['stderr', v4.subprotocol, { stderr: false }],
    ['resize', v4.subprotocol, { tty: false }],
    ['resize', 'v2.channel.k8s.io', {}],
    ['resize', 'channel.k8s.io', {}],
  ])('is refused with %s over %s when the query asked for %j', (type, subprotocol, options) => {
    const decoding = remoteCommand({ protocol: 'SPDY/3.1', subprotocol }, options)
    expect(refusalOf(decoding, [fromClient(open(1, type))])).toBe(
      `the client opened ${type}, which it had not asked for`,
    )
  })

  test.each([
    [11, 'stdout', 'the client opened stdout twice'],
    [9, 'stderr', 'the client opened a SPDY stream with the id 9, which is not its turn'],
  ])('is refused with a stream %i that is %s', (id, streamtype, message) => {
    const { client, turns } = opened(['error', 'stdin', 'stdout', 'resize'])
    const decoding = remoteCommand(v4)
    feed(decoding, [...turns, fromClient(client.open(9, { streamtype: 'stderr' }))])
    expect(refusalOf(decoding, [fromClient(client.open(id, { streamtype }))])).toBe(message)
  })

  test.each<[string, (upstream: SpdyWriter) => Uint8Array]>([
    ['a stream of the server', (upstream) => upstream.open(2, { streamtype: 'stdout' })],
    ['data on stdin', () => data(3, 'x')],
    ['data on a stream that nobody opened', () => data(11, 'x')],
    ['two answers to a stream', (upstream) => upstream.accept(1)],
    ['an answer to no stream', (upstream) => upstream.accept(11)],
  ])('is refused with %s from upstream', (_, bytes) => {
    const { upstream, turns } = opened()
    const decoding = remoteCommand(v4)
    feed(decoding, turns)
    expect(refusalOf(decoding, [fromUpstream(bytes(upstream))])).toMatch(/SPDY|stdin/)
  })
})

describe('the ending of an exec over SPDY', () => {
  const idle = failure(403, 'Forbidden', 'the session was idle')

  test('closes the output and says why on the error stream', () => {
    const { turns } = opened()
    const before = [...turns, fromUpstream(data(5, 'a'))]
    const decoding = remoteCommand(v4)
    feed(decoding, before)
    const ending = decoding.decoder.ending(idle)
    const told = toldOf(remoteCommand(v4), [...before, fromUpstream(ending)])
    expect(told).toEqual([
      'stdout passed 1 "a"',
      expect.stringContaining('\\"message\\":\\"the session was idle\\"'),
      'error ended',
      'stdout ended',
      'stderr ended',
    ])
  })

  test('is plain words before version 4', () => {
    const v3 = { ...v4, subprotocol: 'v3.channel.k8s.io' }
    const { turns } = opened(['error', 'stdout'])
    const decoding = remoteCommand(v3)
    feed(decoding, turns)
    const told = toldOf(remoteCommand(v3), [...turns, fromUpstream(decoding.decoder.ending(idle))])
    expect(told).toEqual(['error passed 20 "the session was idle"', 'error ended', 'stdout ended'])
  })

  test('is empty before the error stream is there, and after the outcome was said', () => {
    const decoding = remoteCommand(v4)
    const { turns } = opened()
    expect(decoding.decoder.ending(idle)).toHaveLength(0)
    feed(decoding, turns.slice(0, 1))
    expect(decoding.decoder.ending(idle)).toHaveLength(0)
    feed(decoding, [...turns.slice(1), fromUpstream(data(1, '{"status":').subarray(0, 12))])
    expect(decoding.decoder.ending(idle)).not.toHaveLength(0)
    feed(decoding, [fromUpstream(data(1, '{"status":').subarray(12))])
    expect(decoding.decoder.ending(idle)).toHaveLength(0)
  })

  test('is put behind whole frames, and still after bytes that cannot be read', () => {
    const { turns } = opened()
    const decoding = remoteCommand(v4)
    feed(decoding, turns)
    expect(decoding.decoder.bytesSinceBoundary).toBe(0)
    feed(decoding, [fromUpstream(data(5, 'abc').subarray(0, 9))])
    expect(decoding.decoder.bytesSinceBoundary).toBe(9)
    feed(decoding, [fromUpstream(data(5, 'abc').subarray(9), data(5, 'abc').subarray(0, 3))])
    expect(decoding.decoder.bytesSinceBoundary).toBe(3)
    const wrong = Buffer.concat([data(5, 'abc').subarray(3), data(99, 'x')])
    expect(() => {
      feed(decoding, [fromUpstream(wrong)])
    }).toThrow('stream 99')
    expect(decoding.decoder.bytesSinceBoundary).toBe(9)
    expect(decoding.decoder.ending(idle)).not.toHaveLength(0)
  })
})
