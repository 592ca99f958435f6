import { expect, test } from 'vitest'
import { attackedGateway, EVERYTHING } from '../support/attacked-gateway.ts'
import { EXEC, WEBSOCKET, keptOf, onChannel, openExec, relay } from '../support/attacked-sessions.ts'
import { retainedBytes } from '../support/retained-memory.ts'

// Attack D10.
//
// Terminal sizes without sense, which make a player build a screen of any size, and without end, which fill the memory
// of whoever keeps them (CVE-2022-23471).

const attacked = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })

const MEGABYTE = 1024 * 1024
const TERMINAL = `${EXEC}&tty=true`
const resize = (text: string): Buffer => onChannel(4, text, 'client')
const size = (width: unknown, height: unknown): string => `{"Width":${String(width)},"Height":${String(height)}}\n`

/** Every size in an asciicast, that of its header first. */
function sizesIn(cast: string): string[] {
  const [header = '{}', ...events] = cast.trimEnd().split('\n')
  const { width, height } = JSON.parse(header) as { width: number; height: number }
  const told = events.map((line) => JSON.parse(line) as [number, string, string]).filter(([, code]) => code === 'r')
  return [`${width}x${height}`, ...told.map(([, , text]) => text)]
}

async function recordedSizes(messages: readonly string[]): Promise<string[]> {
  const session = await openExec(attacked, WEBSOCKET, { target: TERMINAL })
  for (const message of messages) await relay(session, 'client', resize(message))
  session.client.destroy()
  await session.closed
  return sizesIn((await keptOf(attacked, session)).cast)
}

test.each<[string, string, string]>([
  ['65535', size(65_535, 65_535), '1000x1000'],
  ['a billion', size(1e9, 1e9), '1000x1000'],
  ['more than a number can be', size('1e400', '1e400'), '80x24'],
  ['less than nothing', size(-1, -1), '80x24'],
  ['nothing', size(0, 0), '80x24'],
  ['half a column', size(80.5, 24.5), '80x24'],
  ['text', size('"100"', '"40"'), '80x24'],
  ['null', size(null, null), '80x24'],
  ['no JSON', '{"Width":100,"Height":', '80x24'],
  ['no object', '[100,40]\n', '80x24'],
  ['an object’s own names', '{"__proto__":{"Width":100,"Height":40}}\n', '80x24'],
  ['control bytes', '{"Width":"\x1b[2J","Height":"\x07"}\n', '80x24'],
])('a size of %s is passed and recorded as one that can be', async (_, message, recorded) => {
  expect(new Set(await recordedSizes([message]))).toEqual(new Set([recorded]))
})

test('a size in pieces, and several in one, are recorded', async () => {
  const sizes = await recordedSizes([size(100, 40), '{"Wid', 'th":120,"He', 'ight":50}', size(90, 30) + size(91, 31)])
  expect(sizes).toEqual(['100x40', '120x50', '91x31'])
})

test('sizes without end leave memory as it is, and the recording smaller than what was sent', async () => {
  const session = await openExec(attacked, WEBSOCKET, { target: TERMINAL })
  const flood = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => resize(size(80 + (i % 2), 24))))
  await relay(session, 'client', flood)
  const before = retainedBytes()
  for (let i = 0; i < 4; i += 1) await relay(session, 'client', flood)
  expect(retainedBytes() - before).toBeLessThan(4 * MEGABYTE)
  session.client.destroy()
  await session.closed
  const { cast, manifest } = await keptOf(attacked, session)
  expect(manifest).toMatchObject({ state: 'complete', incomplete: '' })
  expect(cast.length).toBeLessThan(5 * flood.length)
})

test('one object without end is read and not kept', async () => {
  const session = await openExec(attacked, WEBSOCKET, { target: TERMINAL })
  const part = resize('"x":1,'.repeat(5_000))
  await relay(session, 'client', resize('{"Width":100,'))
  await relay(session, 'client', part)
  const before = retainedBytes()
  for (let i = 0; i < 100; i += 1) await relay(session, 'client', part)
  expect(retainedBytes() - before).toBeLessThan(4 * MEGABYTE)
  await relay(session, 'client', resize(`"Height":40}\n${size(101, 41)}`))
  session.client.destroy()
  await session.closed
  const { cast } = await keptOf(attacked, session)
  expect(sizesIn(cast).at(-1)).toBe('101x41')
})
