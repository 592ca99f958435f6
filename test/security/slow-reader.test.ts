import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import { SPDY as SPDY_EXEC, WEBSOCKET, keptOf, openExec } from '../support/attacked-sessions.ts'
import { retainedBytes } from '../support/retained-memory.ts'

// Attack D18.
//
// Whoever reads slowly makes a proxy keep what it was sent, until it has no memory left. A slow reader has to slow the
// sender down instead.

const attacked = attackedGateway({ policy: EVERYTHING })

const MEGABYTE = 1024 * 1024
/** What sockets, TLS and streams on the way may hold. */
const MOST_UNDER_WAY = 24 * MEGABYTE
const SPDY = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n'

/** Writes until nothing more is taken for a while, and gives the bytes that were. */
async function fill(
  sink: Duplex | { write(chunk: Buffer): boolean; once(event: 'drain', f: () => void): unknown },
  chunk: Buffer = Buffer.alloc(MEGABYTE / 4),
): Promise<number> {
  let written = 0
  for (;;) {
    written += chunk.length
    if (written > 200 * MEGABYTE) return written
    if (sink.write(chunk)) continue
    const isTaken = await Promise.race([
      new Promise<boolean>((resolve) =>
        sink.once('drain', () => {
          resolve(true)
        }),
      ),
      new Promise<boolean>((resolve) => setTimeout(resolve, 400, false)),
    ])
    if (!isTaken) return written
  }
}

test('a tunnel whose client does not read takes no more from the API server', async () => {
  const switched = new Promise<Duplex>((resolve) => {
    attacked.apiServer.onUpgrade = (_request, socket) => {
      socket.write(SWITCHED)
      resolve(socket)
    }
  })
  const client = await attacked.connect()
  client.pause().write(attacked.head('POST', `${NAMESPACE}/pods/web/exec?command=cat`, SPDY))
  expect(await fill(await switched)).toBeLessThan(MOST_UNDER_WAY)
  client.destroy()
})

test('a tunnel whose API server does not read takes no more from the client', async () => {
  attacked.apiServer.onUpgrade = (_request, socket) => {
    socket.pause().write(SWITCHED)
  }
  const client = await attacked.connect()
  client.write(attacked.head('POST', `${NAMESPACE}/pods/web/exec?command=cat`, SPDY))
  await once(client, 'data')
  expect(await fill(client)).toBeLessThan(MOST_UNDER_WAY)
  client.destroy()
})

test.each(['HTTP/1.1', 'HTTP/2'])(
  'a log over %s that nobody reads takes no more from the API server',
  async (protocol) => {
    const target = `${NAMESPACE}/pods/web/log?follow=true`
    const filled = new Promise<number>((resolve) => {
      attacked.apiServer.onRequest = (_request, response) => {
        response.writeHead(200)
        resolve(fill(response))
      }
    })
    if (protocol === 'HTTP/1.1') {
      const client = await attacked.connect()
      client.pause().write(attacked.head('GET', target))
    } else {
      const session = attacked.gateway.http2()
      session
        .request({ ':path': target, authorization: `Bearer ${attacked.gateway.token}` })
        .on('error', () => undefined)
    }
    expect(await filled).toBeLessThan(MOST_UNDER_WAY)
  },
)

test.each(['HTTP/1.1', 'HTTP/2'])(
  'an upload over %s that the API server does not read is not taken',
  async (protocol) => {
    attacked.apiServer.onRequest = (request) => {
      request.pause()
    }
    if (protocol === 'HTTP/1.1') {
      const client = await attacked.connect()
      client.write(attacked.head('POST', `${NAMESPACE}/pods`, ['Content-Length: 1000000000']))
      expect(await fill(client)).toBeLessThan(MOST_UNDER_WAY)
      client.destroy()
    } else {
      const session = attacked.gateway.http2()
      const headers = {
        ':method': 'POST',
        ':path': `${NAMESPACE}/pods`,
        authorization: `Bearer ${attacked.gateway.token}`,
      }
      const stream = session.request(headers, { endStream: false })
      stream.on('error', () => undefined)
      expect(await fill(stream)).toBeLessThan(MOST_UNDER_WAY)
    }
  },
)

describe('with its recording required', () => {
  const recorded = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })
  const TEXT = Buffer.alloc(MEGABYTE / 4, 'one line of many\n')
  /** What sockets hold is not here; what is kept for the recording, and is under way, is. */
  const MOST_RETAINED = 16 * MEGABYTE

  test.each([
    ['SPDY', SPDY_EXEC],
    ['a WebSocket', WEBSOCKET],
  ])('a session over %s whose client does not read takes no more from the API server', async (_, protocol) => {
    const session = await openExec(recorded, protocol)
    session.client.pause()
    const before = retainedBytes()
    const taken = await fill(session.upstream, session.stdout(TEXT))
    expect(taken).toBeLessThan(MOST_UNDER_WAY)
    expect(retainedBytes() - before).toBeLessThan(MOST_RETAINED)
    session.client.destroy()
    await session.closed
    // All that was recorded is what was relayed, and no more of it than went through.
    expect((await keptOf(recorded, session)).manifest.streams.stdout).toBeLessThanOrEqual(taken)
  })

  test.each([
    ['SPDY', SPDY_EXEC],
    ['a WebSocket', WEBSOCKET],
  ])('a session over %s whose API server does not read takes no more from the client', async (_, protocol) => {
    const session = await openExec(recorded, protocol)
    session.upstream.pause()
    const before = retainedBytes()
    expect(await fill(session.client, session.stdin(TEXT))).toBeLessThan(MOST_UNDER_WAY)
    expect(retainedBytes() - before).toBeLessThan(MOST_RETAINED)
    session.client.destroy()
    session.upstream.destroy()
    await session.closed
  })
})
