import { describe, expect, test } from 'vitest'
import { cpuStopwatch } from '../support/cpu-stopwatch.ts'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, namesOf, valuesOf } from '../support/attacked-gateway.ts'

// Attack D17.
//
// The headers of a handshake are read by hand-written parsers: ones that take quadratic time (CVE-2021-32640), that
// look names up in an object, or that agree to extensions which then hide what passes.

const attacked = attackedGateway({ policy: EVERYTHING })

const EXEC = `${NAMESPACE}/pods/web/exec?command=id`
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const VERSION = 'Sec-WebSocket-Version: 13'
const SUBPROTOCOL = 'Sec-WebSocket-Protocol: v5.channel.k8s.io'

function handshake(lines: readonly string[]): string {
  return attacked.head('GET', EXEC, ['Connection: Upgrade', 'Upgrade: websocket', ...lines])
}

describe('refused is', () => {
  test.each([
    ['no key', [VERSION, SUBPROTOCOL]],
    ['a short key', [VERSION, SUBPROTOCOL, 'Sec-WebSocket-Key: c2hvcnQ=']],
    ['a long key', [VERSION, SUBPROTOCOL, `Sec-WebSocket-Key: ${'a'.repeat(10_000)}`]],
    ['a key that is no base64', [VERSION, SUBPROTOCOL, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==']],
    ['two keys', [VERSION, SUBPROTOCOL, KEY, KEY]],
    ['no version', [KEY, SUBPROTOCOL]],
    ['an old version', [KEY, SUBPROTOCOL, 'Sec-WebSocket-Version: 8']],
    ['two versions', [KEY, SUBPROTOCOL, VERSION, VERSION]],
    ['only subprotocols that nobody knows', [KEY, VERSION, 'Sec-WebSocket-Protocol: chat']],
    ['a subprotocol that is an object’s', [KEY, VERSION, 'Sec-WebSocket-Protocol: __proto__, constructor']],
    ['a subprotocol with a space', [KEY, VERSION, 'Sec-WebSocket-Protocol: v5.channel.k8s.io x']],
    ['a subprotocol in quotes', [KEY, VERSION, 'Sec-WebSocket-Protocol: "v5.channel.k8s.io"']],
    ['a long subprotocol', [KEY, VERSION, `Sec-WebSocket-Protocol: ${'a'.repeat(10_000)}`]],
    [
      'many subprotocols',
      [KEY, VERSION, `Sec-WebSocket-Protocol: ${Array.from({ length: 500 }, (_, i) => `p${i}`).join()}`],
    ],
    ['blanks by the thousand', [KEY, VERSION, `Sec-WebSocket-Protocol: a${' '.repeat(30_000)}b`]],
  ])('%s', async (_, lines) => {
    const spentMs = cpuStopwatch()
    await attacked.expectRefused(await attacked.writeOnce(handshake(lines)), BAD_REQUEST)
    expect(spentMs()).toBeLessThan(2_000)
  })
})

describe('refused is over SPDY', () => {
  const members = (count: number): string => Array.from({ length: count }, (_, i) => `p${i}`).join()
  test.each([
    ['only protocols that nobody knows', ['chat']],
    ['a protocol that is an object’s', ['__proto__, constructor, toString']],
    ['a protocol of the other transport', ['v4.base64.channel.k8s.io']],
    ['a long protocol', ['a'.repeat(10_000)]],
    ['many protocols', [members(500)]],
    ['many on lines of their own', Array.from({ length: 17 }, (_, i) => `p${i}`)],
    ['blanks by the thousand', [`a${' '.repeat(30_000)}b`]],
    ['commas by the thousand', [`${','.repeat(30_000)}\x00`]],
  ])('%s', async (_, values) => {
    const lines = values.map((value) => `X-Stream-Protocol-Version: ${value}`)
    const spentMs = cpuStopwatch()
    const head = attacked.head('POST', EXEC, ['Connection: Upgrade', 'Upgrade: SPDY/3.1', ...lines])
    const { statusCode } = await attacked.writeOnce(head)
    expect(statusCode).toBe(400)
    expect(attacked.seen).toEqual([])
    expect(spentMs()).toBeLessThan(2_000)
  })
})

test('extensions are never asked for', async () => {
  const lines = ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, __proto__; constructor=1']
  await attacked.writeOnce(handshake([KEY, VERSION, SUBPROTOCOL, ...lines]))
  expect(attacked.seen.map((seen) => namesOf(seen))).toEqual([
    [
      ...['audit-id', 'authorization', 'connection', 'host'],
      ...['sec-websocket-key', 'sec-websocket-protocol', 'sec-websocket-version', 'upgrade'],
    ],
  ])
})

test('what is known among the subprotocols is offered, and nothing else', async () => {
  const line = 'Sec-WebSocket-Protocol: chat, v5.channel.k8s.io , ,constructor, v4.channel.k8s.io, v5.channel.k8s.io'
  await attacked.writeOnce(handshake([KEY, VERSION, line]))
  expect(attacked.seen.map((seen) => valuesOf(seen, 'sec-websocket-protocol'))).toEqual([
    ['v5.channel.k8s.io, v4.channel.k8s.io'],
  ])
})

test.each(['Sec-WebSocket-Extensions: permessage-deflate', 'Sec-WebSocket-Protocol: v4.channel.k8s.io'])(
  'an API server that agrees to what was not asked (%s) is cut off',
  async (line) => {
    attacked.apiServer.onUpgrade = (_request, socket) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${line}\r\n\r\n`)
    }
    const answer = await attacked.writeOnce(handshake([KEY, VERSION, SUBPROTOCOL]))
    attacked.forget()
    await attacked.expectRefused(answer, { code: 502, reason: 'BadGateway' })
  },
)
