import { describe, expect, test } from 'vitest'
import { type Turn, feed, refusalOf, remoteCommand, toldOf } from '../../../test/support/decoded-session.ts'
import { clientFrame, frame } from '../../../test/support/session-bytes.ts'
import { failure } from '../status.ts'

const webSocket = (subprotocol: string) => ({ protocol: 'websocket', subprotocol }) as const
const v5 = webSocket('v5.channel.k8s.io')
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10] as const
const fromClient = (...frames: Uint8Array[]): Turn => ({ from: 'client', bytes: Buffer.concat(frames) })
const fromUpstream = (...frames: Uint8Array[]): Turn => ({ from: 'upstream', bytes: Buffer.concat(frames) })

describe('an exec over a WebSocket', () => {
  test('is told channel by channel, and its empty messages are not', () => {
    const told = toldOf(remoteCommand(v5), [
      fromUpstream(frame(BINARY, '\x01')),
      fromClient(clientFrame(BINARY, '\x04{"Width":80,"Height":24}\n'), clientFrame(PING, ''), clientFrame(BINARY, '')),
      fromClient(clientFrame(BINARY, '\0ls\n'), clientFrame(BINARY, Buffer.from([255, 0]))),
      fromUpstream(frame(PONG, ''), frame(BINARY, '\x01a'), frame(BINARY, '\x02b'), frame(PING, 'x')),
      fromUpstream(frame(BINARY, '\x03{"status":"Success"}'), frame(CLOSE, Buffer.from([3, 232]))),
      fromClient(clientFrame(CLOSE, Buffer.from([3, 232])), clientFrame(PONG, '')),
    ])
    expect(told).toEqual([
      'resize passed 25 "{\\"Width\\":80,\\"Height\\":24}\\n"',
      'stdin passed 3 "ls\\n"',
      'stdin ended',
      'stdout passed 1 "a"',
      'stderr passed 1 "b"',
      'error passed 20 "{\\"status\\":\\"Success\\"}"',
      'stdout ended',
      'stderr ended',
      'error ended',
      'resize ended',
    ])
  })

  test('joins what the server sends in fragments, between which it may ping', () => {
    const told = toldOf(remoteCommand(v5), [
      fromUpstream(
        frame(BINARY, '', { isPart: true }),
        frame(CONTINUATION, '\x01a', { isPart: true }),
        frame(PING, ''),
      ),
      fromUpstream(frame(CONTINUATION, '\x02b'), frame(BINARY, '\x02c')),
    ])
    expect(told).toEqual(['stdout passed 3 "a\\u0002b"', 'stderr passed 1 "c"'])
  })

  test('reads lengths of all three sizes', () => {
    for (const length of [125, 126, 65_534, 65_535, 70_000, 200_000]) {
      const payload = '\0'.padEnd(length + 1, 'x')
      const told = toldOf(remoteCommand(v5), [fromClient(clientFrame(BINARY, payload))])
      expect(told).toEqual([`stdin passed ${length} "${payload.slice(1)}"`])
    }
  })

  test('takes text from a client for bytes, as servers do and the Python client relies on', () => {
    const told = toldOf(remoteCommand(webSocket('v4.channel.k8s.io')), [fromClient(clientFrame(TEXT, '\0ls'))])
    expect(told).toEqual(['stdin passed 2 "ls"'])
  })

  test.each(['base64.channel.k8s.io', 'v4.base64.channel.k8s.io'])('is decoded over %s', (subprotocol) => {
    const told = toldOf(remoteCommand(webSocket(subprotocol)), [
      fromUpstream(frame(TEXT, '1'), frame(TEXT, '1aGk='), frame(TEXT, '2aGlo')),
      fromClient(clientFrame(TEXT, '0bHM='), clientFrame(BINARY, '0bHMK')),
    ])
    expect(told).toEqual(['stdout passed 2 "hi"', 'stderr passed 3 "hih"', 'stdin passed 5 "lsls\\n"'])
  })

  test('counts what is not wanted, base64 taken off', () => {
    const base64 = webSocket('v4.base64.channel.k8s.io')
    expect(toldOf(remoteCommand(base64, {}, []), [fromClient(clientFrame(TEXT, '0bHM='))])).toEqual([
      'stdin passed 2 ""',
    ])
    expect(toldOf(remoteCommand(v5, {}, []), [fromClient(clientFrame(BINARY, '\0ls'))])).toEqual(['stdin passed 2 ""'])
  })

  test('lets sizes pass without a terminal, as client-node sends them', () => {
    const turns = [fromClient(clientFrame(BINARY, '\x04{}'))]
    expect(toldOf(remoteCommand(v5, { tty: false }), turns)).toEqual(['resize passed 2 "{}"'])
  })

  test.each<[string, Uint8Array]>([
    ['no mask', frame(BINARY, '\0x')],
    ['a reserved bit, as compression sets it', clientFrame(BINARY, '\0x', { reserved: 0x40 })],
    ['the second reserved bit', clientFrame(BINARY, '\0x', { reserved: 0x20 })],
    ['the third reserved bit', clientFrame(PING, '', { reserved: 0x10 })],
    ['an unknown opcode', clientFrame(3, '\0x')],
    ['an unknown control opcode', clientFrame(11, '')],
    ['a continuation of nothing', clientFrame(CONTINUATION, '\0x')],
    ['a fragment, which the server takes for a message', clientFrame(BINARY, '\x04', { isPart: true })],
    ['a long ping', clientFrame(PING, 'x'.repeat(126))],
    ['a ping in fragments', clientFrame(PING, '', { isPart: true })],
    ['half a close code', clientFrame(CLOSE, 'x')],
    ['data behind its end', Buffer.concat([clientFrame(CLOSE, ''), clientFrame(BINARY, '\0x')])],
    ['a channel that does not exist', clientFrame(BINARY, '\x05x')],
    ['data on stdout', clientFrame(BINARY, '\x01x')],
    ['data on the error channel', clientFrame(BINARY, '\x03x')],
    ['the end of nothing', clientFrame(BINARY, Buffer.from([255]))],
    ['the end of stdout', clientFrame(BINARY, Buffer.from([255, 1]))],
    ['two ends in one message', clientFrame(BINARY, Buffer.from([255, 0, 4]))],
    ['stdin behind its end', Buffer.concat([clientFrame(BINARY, Buffer.from([255, 0])), clientFrame(BINARY, '\0x')])],
    ['a message over 32 MiB', Buffer.from([0x82, 0xff, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0])],
    ['a length of 2^63', Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
  ])('is refused with %s from the client', (_, bytes) => {
    expect(refusalOf(remoteCommand(v5), [fromClient(bytes)])).not.toBe('')
  })

  test.each<[string, Uint8Array]>([
    ['a mask', clientFrame(BINARY, '\x01x')],
    ['text', frame(TEXT, '\x01x')],
    ['data on stdin', frame(BINARY, '\0x')],
    ['an end of a channel', frame(BINARY, Buffer.from([255, 1]))],
    [
      'a message between the fragments of another',
      Buffer.concat([frame(BINARY, '\x01', { isPart: true }), frame(BINARY, '\x01x')]),
    ],
  ])('is refused with %s from upstream', (_, bytes) => {
    expect(refusalOf(remoteCommand(v5), [fromUpstream(bytes)])).not.toBe('')
  })

  test.each<[string, Turn]>([
    ['stdin', fromClient(clientFrame(BINARY, '\0'))],
    ['stdout', fromUpstream(frame(BINARY, '\x01'))],
    ['stderr', fromUpstream(frame(BINARY, '\x02'))],
  ])('is refused with %s that was not asked for', (stream, turn) => {
    expect(refusalOf(remoteCommand(v5, { [stream]: false }), [turn])).toBe(
      `a message is for ${stream}, which was not asked for`,
    )
  })

  test.each(['', 'channel.k8s.io', 'v4.channel.k8s.io'])('knows no end of a channel over "%s"', (subprotocol) => {
    const turn = fromClient(clientFrame(BINARY, Buffer.from([255, 0])))
    expect(refusalOf(remoteCommand(webSocket(subprotocol)), [turn])).toContain('channel 255')
  })

  test.each(['0b', '0bHM', '0bH=M', '0bHM=bHM=', '0bH\nM=', '0bHM=\n', '0b-M='])(
    'is refused with %j as base64',
    (text) => {
      expect(
        refusalOf(remoteCommand(webSocket('v4.base64.channel.k8s.io')), [fromClient(clientFrame(TEXT, text))]),
      ).toContain('base64')
    },
  )
})

describe('the ending of an exec over a WebSocket', () => {
  const idle = failure(403, 'Forbidden', 'the session was idle')

  test.each([
    ['v5.channel.k8s.io', 'code\\":403'],
    ['v4.channel.k8s.io', 'code\\":403'],
    ['v4.base64.channel.k8s.io', 'code\\":403'],
    ['base64.channel.k8s.io', 'error passed 20 "the session was idle"'],
    ['channel.k8s.io', 'error passed 20 "the session was idle"'],
    ['', 'error passed 20 "the session was idle"'],
  ])('over "%s" says why on the error channel and closes', (subprotocol, outcome) => {
    const ending = remoteCommand(webSocket(subprotocol)).decoder.ending(idle)
    expect([...ending.subarray(-4)]).toEqual([0x88, 2, 3, 232])
    const told = toldOf(remoteCommand(webSocket(subprotocol)), [fromUpstream(ending)])
    expect(told).toEqual([expect.stringContaining(outcome), 'stdout ended', 'stderr ended', 'error ended'])
  })

  test('is put behind whole messages, and is empty once the outcome was said', () => {
    const decoding = remoteCommand(v5)
    const outcome = frame(BINARY, '\x03{}')
    feed(decoding, [fromUpstream(frame(BINARY, '\x01a', { isPart: true }), frame(PING, ''))])
    expect(decoding.decoder.bytesSinceBoundary).toBe(6)
    feed(decoding, [fromUpstream(frame(CONTINUATION, 'b'), outcome.subarray(0, 4))])
    expect(decoding.decoder.bytesSinceBoundary).toBe(4)
    expect(decoding.decoder.ending(idle)).not.toHaveLength(0)
    feed(decoding, [fromUpstream(outcome.subarray(4))])
    expect(decoding.decoder.bytesSinceBoundary).toBe(0)
    expect(decoding.decoder.ending(idle)).toHaveLength(0)
  })
})
