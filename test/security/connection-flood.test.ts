import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import { ended } from '../support/raw-exchange.ts'

// Attack I7.
//
// More connections and streams than there is room for: the bound is what is refused, not the process.

const attacked = attackedGateway({ policy: EVERYTHING, limits: { maxConnections: 50, maxConcurrentStreams: 10 } })

test('connections beyond the bound are closed, and there is room again when others leave', async () => {
  const sockets = Array.from({ length: 200 }, () =>
    connect(attacked.gateway.port, '127.0.0.1').on('error', () => undefined),
  )
  const refused = sockets.slice(100).map((socket) => ended(socket))
  await Promise.all(refused)
  for (const socket of sockets) socket.destroy()
  await expect
    .poll(() =>
      attacked.expectServing().then(
        () => 'serving',
        () => 'full',
      ),
    )
    .toBe('serving')
})

describe('streams beyond the bound', () => {
  test('wait at the client, and are then served', async () => {
    const waiting: (() => void)[] = []
    attacked.apiServer.onRequest = (_request, response) => {
      waiting.push(() => response.end('{}'))
    }
    const session = attacked.gateway.http2()
    // Before the client knows the bound, it may send more, and is refused.
    await once(session, 'remoteSettings')
    const headers = { ':path': `${NAMESPACE}/pods`, authorization: `Bearer ${attacked.gateway.token}` }
    const answered = Array.from(
      { length: 30 },
      () =>
        new Promise<number>((resolve) => {
          const stream = session.request(headers)
          stream.on('response', (head) => {
            resolve(head[':status'] ?? 0)
          })
          stream.on('error', () => undefined).resume()
        }),
    )
    await expect.poll(() => waiting.length).toBe(10)
    const serve = setInterval(() => {
      for (const answer of waiting.splice(0)) answer()
    }, 5)
    expect(new Set(await Promise.all(answered))).toEqual(new Set([200]))
    clearInterval(serve)
    session.destroy()
  })
})
