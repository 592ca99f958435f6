import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'
import {
  EXEC,
  SPDY,
  SPDY_FORWARD,
  SpdyClient,
  WEBSOCKET,
  closingOf,
  keptOf,
  openExec,
  openSession,
  relay,
} from '../support/attacked-sessions.ts'
import { retainedBytes } from '../support/retained-memory.ts'
import { clientFrame, control, headerBlock, ping, settings, uint32 } from '../support/session-bytes.ts'

// Attack D9.
//
// A few bytes that make whoever reads along keep or inflate many (CVE-2026-35469): they cost their own session, and
// neither the connector nor anybody else's.

const attacked = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })

const MEGABYTE = 1024 * 1024
const FORWARD = `${NAMESPACE}/pods/web/portforward`

const headers = (count: number): [string, string][] => Array.from({ length: count }, (_, i) => [`h${i}`, ''])
const openWith = ({ writer }: SpdyClient, block: Uint8Array): Buffer => writer.openWith(7, writer.deflate(block))

const BOMBS: readonly (readonly [string, string, (client: SpdyClient) => Buffer])[] = [
  ['65 headers', 'has more than 64 headers', (client) => openWith(client, headerBlock(headers(65)))],
  ['a header count of 4 billion', 'has more than 64 headers', (client) => openWith(client, uint32(0xffffffff))],
  [
    'a header name of 4 GB',
    'are cut off',
    (client) => openWith(client, Buffer.concat([uint32(1), uint32(0xffffffff)])),
  ],
  [
    'a header value of 2 GB',
    'are cut off',
    (client) => openWith(client, Buffer.concat([uint32(1), uint32(1), Buffer.from('a'), uint32(0x7fffffff)])),
  ],
  ['24 MB of headers in 24 KB', 'compressed', (client) => openWith(client, Buffer.alloc(24 * MEGABYTE))],
  ['65 settings', 'wrong length', () => settings(65)],
  ['4 billion settings', 'as many entries as it says', () => settings(0xffffffff, 1)],
  [
    'a control frame of 16 MB',
    'wrong length',
    () => Buffer.concat([Buffer.from([0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff]), uint32(7)]),
  ],
  ['settings of 16 MB', 'wrong length', () => Buffer.from([0x80, 3, 0, 4, 0, 0xff, 0xff, 0xff])],
]

test.each(BOMBS)('%s end their own session, and no other', async (_, reason, bomb) => {
  const other = await openExec(attacked, SPDY)
  const session = await openExec(attacked, SPDY)
  const bytes = bomb(session.spdy)
  session.client.write(bytes)
  const told = await closingOf(session, SPDY)
  expect(told).toContain('this session must be recorded, and its bytes cannot be: ')
  expect(told).toContain(reason)
  // A long frame comes in pieces; the last of them never arrives.
  expect(session.passedBytes()).toBeLessThan(session.prologue.length + bytes.length)
  await relay(other, 'client', other.stdin('still here\n'))
  await relay(other, 'upstream', other.stdout('so am I\n'))
  other.client.destroy()
  await other.closed
  expect((await keptOf(attacked, other)).shown).toBe('so am I\n')
  await attacked.expectServing()
})

test('a bomb for each of many sessions leaves memory as it is', async () => {
  const deflated = new SpdyClient()
  deflated.opening()
  const bomb = openWith(deflated, Buffer.alloc(24 * MEGABYTE))
  const explode = async (): Promise<void> => {
    const session = await openExec(attacked, SPDY)
    session.client.write(bomb)
    await closingOf(session, SPDY)
  }
  await explode()
  const [retained, resident] = [retainedBytes(), process.memoryUsage.rss()]
  for (let i = 0; i < 10; i += 1) await explode()
  expect(process.memoryUsage.rss() - resident).toBeLessThan(40 * MEGABYTE)
  await expect.poll(() => retainedBytes() - retained, { interval: 100 }).toBeLessThan(4 * MEGABYTE)
})

test.each<[string, (client: SpdyClient) => Buffer]>([
  ['pings', () => Buffer.concat(Array.from({ length: 10_000 }, (_, i) => ping(2 * i + 1)))],
  ['settings', () => Buffer.concat(Array.from({ length: 400 }, () => settings(64)))],
  ['empty data', () => Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from([0, 0, 0, 3, 0, 0, 0, 0])))],
])('%s without end leave memory as it is, and are passed', async (_, flood) => {
  const session = await openExec(attacked, SPDY)
  const bytes = flood(session.spdy)
  await relay(session, 'client', bytes)
  const before = retainedBytes()
  for (let i = 0; i < 4; i += 1) await relay(session, 'client', bytes)
  expect(retainedBytes() - before).toBeLessThan(4 * MEGABYTE)
  session.client.destroy()
})

describe('port-forwards', () => {
  test('open so many connections, and no more', async () => {
    const session = await openSession(attacked, { ...SPDY_FORWARD, target: FORWARD })
    const { writer } = new SpdyClient()
    const half = (i: number): Buffer =>
      writer.open(2 * i + 1, { streamtype: 'error', port: '80', requestid: String(i) }, 1)
    session.client.write(Buffer.concat(Array.from({ length: 4_200 }, (_, i) => half(i))))
    await closingOf(session, SPDY_FORWARD)
    const { manifest } = await keptOf(attacked, session)
    expect(manifest.connections.length).toBeLessThanOrEqual(4_096)
    expect(manifest.outcome?.endedBy).toContain('too many connections are forwarded')
  })

  test('take no request id that is longer than one', async () => {
    const session = await openSession(attacked, { ...SPDY_FORWARD, target: FORWARD })
    const { writer } = new SpdyClient()
    session.client.write(writer.open(1, { streamtype: 'error', port: '80', requestid: 'x'.repeat(60_000) }))
    await closingOf(session, SPDY_FORWARD)
    expect(session.passed()).toHaveLength(0)
  })
})

describe('over a WebSocket', () => {
  test.each([
    ['a message of 4 GB', Buffer.concat([Buffer.from([0x82, 0xff]), uint32(0), uint32(0xffffffff)])],
    ['a message of more than may be', Buffer.concat([Buffer.from([0x82, 0xff]), uint32(0), uint32(33 * MEGABYTE)])],
  ])('%s ends the session before it comes', async (_, head) => {
    const session = await openExec(attacked, WEBSOCKET)
    session.client.write(Buffer.concat([head, Buffer.alloc(4)]))
    await closingOf(session, WEBSOCKET)
    expect(session.passed()).toHaveLength(0)
  })

  test('empty messages without end leave memory as it is, and are passed', async () => {
    const session = await openExec(attacked, WEBSOCKET, { target: EXEC })
    const bytes = Buffer.concat(Array.from({ length: 10_000 }, () => clientFrame(2, '\0')))
    await relay(session, 'client', bytes)
    const before = retainedBytes()
    for (let i = 0; i < 4; i += 1) await relay(session, 'client', bytes)
    expect(retainedBytes() - before).toBeLessThan(4 * MEGABYTE)
    session.client.destroy()
  })
})

test('a frame that says it is a long control frame is not waited for', async () => {
  const session = await openExec(attacked, SPDY)
  session.upstream.write(control(3, 0, Buffer.alloc(9)))
  expect(await closingOf(session, SPDY)).toContain('this session must be recorded')
})
