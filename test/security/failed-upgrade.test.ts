import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_GATEWAY, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import { exchange } from '../support/raw-exchange.ts'

// Attack D1.
//
// An upgrade that fails and leaves its connection open is a raw pipe to the API server with the connector's
// credential on it (CVE-2018-1002105).

const attacked = attackedGateway({ policy: EVERYTHING })

const EXEC = `${NAMESPACE}/pods/web/exec?command=id`
const SPDY = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
]
const SMUGGLED = 'GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n'

/** What the API server got behind the head of each upgrade, and whether its connection is gone. */
interface Upstream {
  readonly got: string[]
  closed: boolean
}

function answerUpgradeWith(bytes: string): Upstream {
  const upstream: Upstream = { got: [], closed: false }
  attacked.apiServer.onUpgrade = (_request, socket: Duplex) => {
    socket.on('data', (chunk: Buffer) => upstream.got.push(chunk.toString('latin1')))
    socket.once('close', () => (upstream.closed = true))
    socket.write(bytes)
  }
  return upstream
}

describe.each([
  ['SPDY', 'POST', SPDY],
  ['a WebSocket', 'GET', WEBSOCKET],
] as const)('by %s', (_protocol, method, lines) => {
  test.each([400, 403, 404, 429, 500, 503])('a %d is passed on, and then both connections end', async (code) => {
    const upstream = answerUpgradeWith(`HTTP/1.1 ${code} No\r\nContent-Length: 2\r\n\r\n{}`)
    const connection = await attacked.connect()
    const { answers } = await exchange(connection, attacked.head(method, EXEC, lines), { answers: 1 })
    for (let i = 0; i < 20; i += 1) connection.write(SMUGGLED)
    await once(connection.resume(), 'close')
    expect(answers.map(({ statusCode, body }) => ({ statusCode, body }))).toEqual([{ statusCode: code, body: '{}' }])
    const event = await attacked.eventOf(answers[0]?.headers['audit-id'] ?? '')
    expect(event.responseStatus).toEqual({ metadata: {}, code })
    await expect.poll(() => upstream.closed).toBe(true)
    expect(upstream.got).toEqual([])
    expect(attacked.seen).toHaveLength(1)
    await attacked.expectServing()
  })

  test.each([
    ['a 200', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'],
    ['a 101 to something else', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['a 101 to nothing', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ])('%s is a 502, and both connections end', async (_, bytes) => {
    const upstream = answerUpgradeWith(bytes)
    const connection = await attacked.connect()
    const head = attacked.head(method, EXEC, lines)
    const { answers } = await exchange(connection, head, { answers: 1 })
    for (let i = 0; i < 20; i += 1) connection.write(SMUGGLED)
    await once(connection.resume(), 'close')
    await expect.poll(() => upstream.closed).toBe(true)
    expect(upstream.got).toEqual([])
    attacked.forget()
    expect(answers).toHaveLength(1)
    for (const answer of answers) await attacked.expectRefused(answer, BAD_GATEWAY)
    await attacked.expectServing()
  })

  test('nothing is sent before the API server has switched', async () => {
    const upstream = answerUpgradeWith('')
    const connection = await attacked.connect()
    connection.write(attacked.head(method, EXEC, lines))
    await expect.poll(() => attacked.seen.length).toBe(1)
    connection.write(SMUGGLED)
    await attacked.expectServing()
    expect(upstream.got).toEqual([])
    connection.destroy()
  })
})
