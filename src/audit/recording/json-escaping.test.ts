import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JsonEscaping, MAX_TEXT_BYTES } from './json-escaping.ts'

const escaping = new JsonEscaping()

const escaped = (text: Uint8Array): string => Buffer.from(escaping.escape('<', text, '>')).toString()

const expected = (text: string): string => `<${JSON.stringify(text).slice(1, -1)}>`

test('every ASCII character is escaped as JSON.stringify does', () => {
  const all = Buffer.from(Array.from({ length: 128 }, (_, i) => i))
  expect(escaped(all)).toBe(expected(all.toString()))
})

test('so is text of any kind and length, whatever was escaped before it', () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom('\n', '\r', '"', '\\', '\u001b', '\0', '/', '\u007f', '\u2028'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    maxLength: 300,
  })
  fc.assert(
    fc.property(text, fc.nat(17), (written, offset) => {
      // Views of any alignment.
      const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(written)]).subarray(offset)
      expect(escaped(bytes)).toBe(expected(bytes.toString()))
    }),
    { numRuns: 2000 },
  )
})

test.each([0, 1, 15, 16, 17, 31, 32, 33])('a special byte at %i of a text is found, and none behind its end', (at) => {
  for (const byte of ['\0', '\u001f', '"', '\\']) {
    const text = 'x'.repeat(at) + byte
    escaped(Buffer.alloc(100, byte))
    expect(escaped(Buffer.from(text))).toBe(expected(text))
    expect(escaped(Buffer.from(text.slice(0, -1)))).toBe(expected(text.slice(0, -1)))
  }
})

test('the longest text fits, though every byte of it becomes six', () => {
  const text = '\u0001'.repeat(MAX_TEXT_BYTES)
  expect(escaped(Buffer.from(text))).toBe(expected(text))
  expect(() => escaped(Buffer.alloc(MAX_TEXT_BYTES + 1))).toThrow(RangeError)
})
