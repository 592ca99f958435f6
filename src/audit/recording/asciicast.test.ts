import { expect, test } from 'vitest'
import { renderEvent, renderHeader, renderTextEvent } from './asciicast.ts'
import { JsonEscaping } from './json-escaping.ts'

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

test('an event of bytes is the same line as one of text', () => {
  const text = 'a "wide" 世界\u001b[0m\r\n'
  const line = Buffer.from(renderTextEvent(new JsonEscaping(), 1_000_001, 'o', Buffer.from(text)))
  expect(line.toString()).toBe(renderEvent(1_000_001, 'o', text))
})
