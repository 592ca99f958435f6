import { expect, test } from 'vitest'
import { MAX_EXCERPT_CHARACTERS, excerpt, quote } from './quote.ts'

test.each([
  ['web-0', '"web-0"'],
  ['', '""'],
  ['a b', '"a b"'],
  ['café 日本 😀', '"café 日本 😀"'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  ['\x07\b\f\n\r\t\v', '"\\a\\b\\f\\n\\r\\t\\v"'],
  ['\0\x1b[31m\x7f', '"\\x00\\x1b[31m\\x7f"'],
  ['\x85\xa0', '"\\u0085\\u00a0"'],
  ['\u202e\u2028\u2066\ufeff', '"\\u202e\\u2028\\u2066\\ufeff"'],
  ['\u{e0001}', '"\\U000e0001"'],
  ['\ud800', '"\\ud800"'],
])('%j is quoted as Go does: %s', (text, quoted) => {
  expect(quote(text)).toBe(quoted)
})

test('an excerpt is marked as one', () => {
  const long = 'x'.repeat(MAX_EXCERPT_CHARACTERS)
  expect(excerpt(long)).toBe(`"${long}"`)
  expect(excerpt(`${long}y`)).toBe(`"${long}"…`)
  expect(excerpt('abc', 2)).toBe('"ab"…')
})
