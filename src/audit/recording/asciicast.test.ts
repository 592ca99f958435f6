import fc from 'fast-check'
import { expect, test } from 'vitest'
import { renderEvent, renderHeader, TextEventRenderer } from './asciicast.ts'

test('the header has the size, the time in seconds and no environment', () => {
  const line = renderHeader({ columns: 120, rows: 40 }, 1_504_467_315_999, 'exec default/web', 'sh -c "a"')
  expect(line.endsWith('\n')).toBe(true)
  expect(JSON.parse(line)).toEqual({
    version: 2,
    width: 120,
    height: 40,
    timestamp: 1_504_467_315,
    title: 'exec default/web',
    command: 'sh -c "a"',
  })
})

test.each([
  [0, '0.000000'],
  [1_000_001, '1.000001'],
  [86_400_123_456, '86400.123456'],
])('%d microseconds are written as %s seconds', (micros, seconds) => {
  expect(renderEvent(micros, 'm', 'a"b')).toBe(`[${seconds},"m","a\\"b"]\n`)
})

test('text of any kind is one line of JSON that reads back as it was', () => {
  const renderer = new TextEventRenderer()
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom('\n', '\r', '"', '\\', '\u001b', '\0', '/', '\u007f'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    maxLength: 300,
  })
  fc.assert(
    fc.property(text, fc.nat(7), (written, offset) => {
      // Views of any alignment.
      const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(written)]).subarray(offset)
      const line = Buffer.from(renderer.render(1500, 'o', bytes)).toString()
      expect(line.indexOf('\n')).toBe(line.length - 1)
      expect(JSON.parse(line)).toEqual([0.0015, 'o', bytes.toString()])
    }),
    { numRuns: 2000 },
  )
})

test('text is escaped as JSON.stringify does', () => {
  const all = Buffer.from(Array.from({ length: 128 }, (_, i) => i))
  expect(Buffer.from(new TextEventRenderer().render(0, 'o', all)).toString()).toBe(
    `[0.000000,"o",${JSON.stringify(all.toString())}]\n`,
  )
})
