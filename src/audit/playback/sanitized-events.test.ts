import { expect, test } from 'vitest'
import { collected } from '../../../test/support/collected.ts'
import type { AsciicastEvent } from './asciicast-reader.ts'
import { sanitizedEvents } from './sanitized-events.ts'

type Line = readonly [code: string, data: string]

async function sanitized(bareLines: boolean, ...lines: readonly Line[]): Promise<Line[]> {
  const events = lines.map(([code, data], index): AsciicastEvent => ({ timeMs: index, code, data }))
  const shown = await collected(sanitizedEvents(ReadableStream.from(events), bareLines))
  return shown.map(({ code, data }): Line => [code, data])
}

test('output and sizes are left, and what harms in them is not', async () => {
  const lines: Line[] = [
    ['o', 'a\x1b]52;c;eA=='],
    ['r', '100x30'],
    ['r', '1x1;\x1b[2J'],
    ['i', 'password'],
    ['m', 'marker'],
    ['x', '0'],
    ['o', '\x07'],
    ['o', 'b'],
  ]
  expect(await sanitized(false, ...lines)).toEqual([
    ['o', 'a'],
    ['r', '100x30'],
    ['o', 'b'],
  ])
})

test('a stream is named for the output that is left of it', async () => {
  const lines: Line[] = [
    ['e', 'stderr'],
    ['o', '\x07'],
    ['o', 'out'],
    ['e', 'stderr'],
    ['o', 'err'],
    ['e', '\x1b[2J'],
    ['o', 'more'],
  ]
  expect(await sanitized(false, ...lines)).toEqual([
    ['o', 'out'],
    ['e', 'stderr'],
    ['o', 'err'],
    ['o', 'more'],
  ])
})

test('without a terminal of the session, line feeds return the carriage once', async () => {
  const lines: Line[] = [
    ['o', 'a\nb\r\nc\r'],
    ['o', '\nd\n'],
  ]
  expect(await sanitized(true, ...lines)).toEqual([
    ['o', 'a\r\nb\r\nc\r'],
    ['o', '\nd\r\n'],
  ])
})
