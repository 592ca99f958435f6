import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import { ended, exchange } from '../support/raw-exchange.ts'
import {
  FLAG,
  FRAME_TYPE,
  HTTP2_PREFACE,
  http2Frame,
  http2HeaderBlock,
  pseudoHeaders,
} from '../support/http2-frames.ts'

// Attack C11.
//
// Connections that never finish what they begin: each holds a place until there is none for others (Slowloris).

const attacked = attackedGateway({
  policy: EVERYTHING,
  limits: { requestHeadTimeout: '1s', requestBodyTimeout: '2s', idleConnectionTimeout: '1s' },
})

const PODS = `${NAMESPACE}/pods`
/** The limits above, the time between two looks, and a busy machine. */
const PATIENCE_MS = 10_000

describe('a connection ends that', () => {
  test.concurrent('never begins its handshake', async () => {
    const socket = connect(attacked.gateway.port, '127.0.0.1')
    const start = performance.now()
    await ended(socket)
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })

  test.concurrent('stops within its handshake', async () => {
    const socket = connect(attacked.gateway.port, '127.0.0.1')
    socket.write(Buffer.from('16030100ff010000fb0303', 'hex'))
    const start = performance.now()
    await ended(socket)
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })

  test.concurrent('never sends a request', async () => {
    const start = performance.now()
    await ended(await attacked.connect())
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })

  test.concurrent('never ends a head, one byte at a time', async () => {
    const connection = await attacked.connect()
    const trickle = setInterval(() => connection.write('a'), 100)
    const start = performance.now()
    const { answers } = await exchange(connection, `GET ${PODS} HTTP/1.1\r\nX-A: `)
    clearInterval(trickle)
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([408])
    const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Timeout', code: 408 }
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject(status)
    const event = await attacked.eventOf(answers[0]?.headers['audit-id'] ?? '')
    expect(event.responseStatus).toMatchObject({ code: 408 })
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })

  test.concurrent.each([
    ['Content-Length: 1000', 'a'],
    ['Transfer-Encoding: chunked', '1\r\na\r\n'],
    ['Transfer-Encoding: chunked', '1;a=b\r\na\r\n'],
  ])('never ends a body, with %s', async (framing, piece) => {
    const connection = await attacked.connect()
    const trickle = setInterval(() => connection.write(piece), 100)
    const start = performance.now()
    await exchange(connection, attacked.head('POST', `${PODS}/hold`, [framing]))
    clearInterval(trickle)
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })

  test.concurrent('does nothing after a request', async () => {
    const connection = await attacked.connect()
    await exchange(connection, attacked.head('GET', PODS), { answers: 1 })
    const start = performance.now()
    await ended(connection)
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })

  test.concurrent.each([
    ['never sends a preface', () => Buffer.alloc(0)],
    ['never sends a frame behind it', () => HTTP2_PREFACE],
    ['never opens a stream', () => Buffer.concat([HTTP2_PREFACE, http2Frame(FRAME_TYPE.settings, FLAG.none, 0)])],
    [
      'never ends a header block',
      () =>
        Buffer.concat([
          HTTP2_PREFACE,
          http2Frame(FRAME_TYPE.settings, FLAG.none, 0),
          http2Frame(FRAME_TYPE.headers, FLAG.none, 1, http2HeaderBlock(pseudoHeaders(PODS))),
        ]),
    ],
  ])('speaks HTTP/2 and %s', async (_, bytes) => {
    const connection = await attacked.connect('h2')
    connection.write(bytes())
    const start = performance.now()
    await ended(connection)
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })

  test.concurrent.each([
    ['pings', 0, (): Buffer => http2Frame(FRAME_TYPE.ping, FLAG.none, 0, Buffer.alloc(8))],
    [
      'a head that goes on',
      1,
      (): Buffer => http2Frame(FRAME_TYPE.continuation, FLAG.none, 1, http2HeaderBlock([['a', 'b']])),
    ],
  ])('speaks HTTP/2 and sends nothing but %s', async (_, begun, frame) => {
    const connection = await attacked.connect('h2')
    connection.write(Buffer.concat([HTTP2_PREFACE, http2Frame(FRAME_TYPE.settings, FLAG.none, 0)]))
    if (begun === 1) {
      connection.write(http2Frame(FRAME_TYPE.headers, FLAG.none, 1, http2HeaderBlock(pseudoHeaders(PODS))))
    }
    const trickle = setInterval(() => connection.write(frame()), 200)
    const start = performance.now()
    await ended(connection)
    clearInterval(trickle)
    expect(performance.now() - start).toBeLessThan(PATIENCE_MS)
  })
})

test('a stream of HTTP/2 ends that never ends its body', async () => {
  attacked.apiServer.onRequest = (request) => {
    request.on('error', () => undefined).resume()
  }
  const session = attacked.gateway.http2()
  const stream = session.request(
    { ':method': 'POST', ':path': PODS, authorization: `Bearer ${attacked.gateway.token}` },
    { endStream: false },
  )
  const trickle = setInterval(() => stream.write('a'), 100)
  stream.on('error', () => undefined)
  await once(stream, 'close').catch(() => undefined)
  clearInterval(trickle)
  expect(stream.rstCode).not.toBe(0)
  session.destroy()
  await expect.poll(() => attacked.apiServer.openRequests).toBe(0)
})

test('others are served meanwhile', async () => {
  const slow = await Promise.all(Array.from({ length: 200 }, () => attacked.connect()))
  for (const connection of slow) connection.write(`GET ${PODS} HTTP/1.1\r\nX-A: `)
  await attacked.expectServing()
  for (const connection of slow) connection.destroy()
})
