import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import {
  FLAG,
  FRAME_TYPE,
  HTTP2_PREFACE,
  http2Frame,
  http2HeaderBlock,
  pseudoHeaders,
} from '../support/http2-frames.ts'

// Attacks C8, I7.
//
// Frames that cost nothing to send and something to take: streams that are reset at once (CVE-2023-44487), header
// blocks without end (CVE-2024-27983), settings and pings that each want an answer (CVE-2019-9512, CVE-2019-9515),
// empty frames (CVE-2019-9518), malformed ones that leak (CVE-2025-59465, CVE-2026-21714).

const attacked = attackedGateway({ policy: EVERYTHING })

const FRAMES = 20_000
const MEGABYTE = 1024 * 1024

/** Writes frames one after the other until all are written or the other side ends the connection. */
async function flood(frameAt: (i: number) => Buffer, frames = FRAMES): Promise<TLSSocket> {
  const connection = await attacked.connect('h2')
  connection.write(Buffer.concat([HTTP2_PREFACE, http2Frame(FRAME_TYPE.settings, FLAG.none, 0)]))
  connection.resume()
  const closed = new Promise((resolve) => connection.once('close', resolve))
  for (let i = 0; i < frames && connection.writable; i += 500) {
    const batch = Array.from({ length: 500 }, (_, j) => frameAt(i + j))
    if (!connection.write(Buffer.concat(batch))) await Promise.race([once(connection, 'drain'), closed])
  }
  return connection
}

function open(streamId: number, path = `${NAMESPACE}/pods`): Buffer {
  const lines = [...pseudoHeaders(path), ['authorization', `Bearer ${attacked.gateway.token}`] as const]
  return http2Frame(FRAME_TYPE.headers, FLAG.endStream | FLAG.endHeaders, streamId, http2HeaderBlock(lines))
}

function reset(streamId: number): Buffer {
  return http2Frame(FRAME_TYPE.rstStream, FLAG.none, streamId, Buffer.from([0, 0, 0, 8]))
}

afterEach(async () => {
  await expect.poll(() => attacked.apiServer.openRequests).toBe(0)
  await attacked.expectServing()
})

test('streams that are reset at once end the connection long before they are all served', async () => {
  const before = process.memoryUsage().rss
  const connection = await flood((i) => Buffer.concat([open(2 * i + 1), reset(2 * i + 1)]), 10_000)
  await expect.poll(() => connection.destroyed).toBe(true)
  expect(attacked.seen.length).toBeLessThan(3_000)
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * MEGABYTE)
})

test.each([
  ['settings', () => http2Frame(FRAME_TYPE.settings, FLAG.none, 0, Buffer.from([0, 4, 0, 0, 255, 255]))],
  ['pings', () => http2Frame(FRAME_TYPE.ping, FLAG.none, 0, Buffer.alloc(8))],
  ['window updates', () => http2Frame(FRAME_TYPE.windowUpdate, FLAG.none, 0, Buffer.from([0, 0, 0, 1]))],
  [
    'window updates past the bound',
    () => http2Frame(FRAME_TYPE.windowUpdate, FLAG.none, 0, Buffer.from([127, 255, 255, 255])),
  ],
  ['resets of streams that never were', (i: number) => reset(2 * i + 1)],
  ['data for streams that never were', (i: number) => http2Frame(FRAME_TYPE.data, FLAG.none, 2 * i + 1)],
  ['frames of an unknown type', () => http2Frame(0x42, FLAG.none, 0, Buffer.alloc(16))],
  [
    'malformed header blocks',
    (i: number) => http2Frame(FRAME_TYPE.headers, FLAG.endStream | FLAG.endHeaders, 2 * i + 1, Buffer.alloc(64, 0xff)),
  ],
])('a flood of %s leaves memory and the others alone', async (_, frameAt) => {
  const before = process.memoryUsage().rss
  const connection = await flood(frameAt)
  await attacked.expectServing()
  connection.destroy()
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * MEGABYTE)
})

test('a header block without end ends the connection', async () => {
  const piece = http2HeaderBlock([['x', 'y'.repeat(1_000)]])
  const connection = await flood((i) =>
    i === 0
      ? http2Frame(FRAME_TYPE.headers, FLAG.endStream, 1, http2HeaderBlock(pseudoHeaders(`${NAMESPACE}/pods`)))
      : http2Frame(FRAME_TYPE.continuation, FLAG.none, 1, piece),
  )
  await expect.poll(() => connection.destroyed).toBe(true)
  expect(attacked.seen).toEqual([])
})

test('a request with empty data without end is one request, and ends with its connection', async () => {
  const lines = [
    ...pseudoHeaders(`${NAMESPACE}/pods`, 'POST'),
    ['authorization', `Bearer ${attacked.gateway.token}`] as const,
  ]
  const connection = await flood((i) =>
    i === 0
      ? http2Frame(FRAME_TYPE.headers, FLAG.endHeaders, 1, http2HeaderBlock(lines))
      : http2Frame(FRAME_TYPE.data, FLAG.none, 1),
  )
  await expect.poll(() => attacked.seen.length).toBe(1)
  connection.destroy()
})

test('more streams at a time than are granted are refused, and the others are served', async () => {
  const waiting: (() => void)[] = []
  attacked.apiServer.onRequest = (request, response) => {
    if (request.url?.includes('honest') === true) response.end('{"items":[]}')
    else waiting.push(() => response.end())
  }
  const connection = await flood((i) => (i < 1_000 ? open(2 * i + 1) : Buffer.alloc(0)), 1_000)
  await expect.poll(() => waiting.length).toBeGreaterThan(0)
  await attacked.gateway.fetch(`${NAMESPACE}/pods/honest`)
  expect(waiting.length).toBeLessThanOrEqual(250)
  for (const answer of waiting) answer()
  connection.destroy()
})
