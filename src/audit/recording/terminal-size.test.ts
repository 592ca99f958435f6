import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pieces, splits } from '../../../test/support/split-streams.ts'
import { TerminalSizeReader } from './terminal-size.ts'

function sizes(chunks: readonly Uint8Array[]): unknown[] {
  const reader = new TerminalSizeReader()
  return chunks.map((chunk) => reader.push(chunk)).filter((size) => size !== null)
}

test('a size is told with the byte that completes it, however it is split', () => {
  const stream = Buffer.from('{"Width":120,"Height":40}\n')
  fc.assert(
    fc.property(splits, (at) => {
      expect(sizes(pieces(stream, at))).toEqual([{ columns: 120, rows: 40 }])
    }),
  )
})

test.each([
  ['several at once: the last', '{"Width":1,"Height":2}\n{"Width":3,"Height":4}\n', { columns: 3, rows: 4 }],
  ['small letters, as Go reads them', '{"width":3,"height":4}', { columns: 3, rows: 4 }],
  ['absurd ones taken down', '{"Width":65535,"Height":65535}', { columns: 1000, rows: 1000 }],
  ['one behind garbage', 'x}"{"Width":3,"Height":4}', { columns: 3, rows: 4 }],
  ['one with an object in it', '{"Width":3,"x":{"Width":1},"Height":4}', { columns: 3, rows: 4 }],
  ['one with braces in text', String.raw`{"Width":3,"x":"}{\"}","Height":4}`, { columns: 3, rows: 4 }],
  ['one that is long by its blanks alone', `{${' '.repeat(300)}"Width":3,"Height":4}`, { columns: 3, rows: 4 }],
  ['one behind one that is too long', `{"x":"${'a'.repeat(300)}"}{"Width":3,"Height":4}`, { columns: 3, rows: 4 }],
])('%s', (_, text, size) => {
  expect(sizes([Buffer.from(text)])).toEqual([size])
})

test.each([
  '{"Width":0,"Height":0}',
  '{"Width":1}',
  '{"Width":"1","Height":"1"}',
  '{"Width":1.5,"Height":2}',
  '{oops}',
  '{"x":{"Width":3,"Height":4}}',
  `{"x":"${'a'.repeat(300)}","Width":3,"Height":4}`,
  `{"x":"${'a'.repeat(300)}","y":{"Width":3,"Height":4}}`,
])('%s is no size', (text) => {
  expect(sizes([Buffer.from(text)])).toEqual([])
})
