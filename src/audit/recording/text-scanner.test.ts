import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isText, TextScanner } from './text-scanner.ts'
import { pieces, splits } from '../../../test/support/split-streams.ts'

function scanned(chunks: readonly Uint8Array[]): string {
  const scanner = new TextScanner(false)
  const texts = chunks.map((chunk) => Buffer.from(scanner.push(chunk).text))
  return Buffer.concat([...texts, scanner.end()]).toString('utf8')
}

/** Bytes where much is nearly UTF-8. */
const bytes = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 4 }),
      fc.constantFrom(
        [0xe0, 0x80],
        [0xf0, 0x9f, 0x98],
        [0xed, 0xa0, 0x80],
        [0xc0, 0x80],
        [0xf4, 0x90],
        [0xef, 0xbb, 0xbf],
      ),
    ),
  )
  .map((parts) => Buffer.concat(parts.map((part) => Uint8Array.from(part))))

test('the text of a stream is that of the WHATWG decoder, however it is split', () => {
  fc.assert(
    fc.property(bytes, splits, (stream, at) => {
      const whole = new TextDecoder('utf-8', { ignoreBOM: true }).decode(stream)
      expect(scanned(pieces(stream, at))).toBe(whole)
    }),
    { numRuns: 2000 },
  )
})

test('a character is given out with the byte that completes it', () => {
  const scanner = new TextScanner(false)
  const sign = Buffer.from('€')
  expect(scanner.push(Buffer.concat([Buffer.from('a'), sign.subarray(0, 2)])).text).toEqual(Buffer.from('a'))
  expect(Buffer.from(scanner.push(sign.subarray(2)).text).toString()).toBe('€')
})

test('text is not copied', () => {
  const chunk = Buffer.from('plain wörds\n')
  expect(new TextScanner(true).push(chunk).text.buffer).toBe(chunk.buffer)
})

test.each([
  ['zeros', Buffer.alloc(10_000), 513],
  ['UTF-16', Buffer.from('some words of text '.repeat(200), 'utf16le'), 2 * 683 + 0],
])('%s are binary after a while', (_, stream, at) => {
  expect(new TextScanner(true).push(stream).consumed).toBe(at)
})

test.each([
  ['names ended by NUL', Buffer.from('/var/lib/some/file\0'.repeat(10_000))],
  ['Latin-1', Buffer.from('la façade de la maison était fermée depuis Noël \n'.repeat(2000), 'latin1')],
  ['escapes of a terminal', Buffer.from('\u001b[1m\u001b[31m\u0007\b'.repeat(5000))],
])('%s are text', (_, stream) => {
  expect(new TextScanner(true).push(stream).consumed).toBe(stream.length)
})

test('where a stream turns binary does not depend on how it is split', () => {
  const noise = fc.uint8Array({ minLength: 600, maxLength: 3000 })
  const text = fc.string({ maxLength: 50 }).map((words) => Buffer.from(words))
  fc.assert(
    fc.property(text, noise, splits, (before, after, at) => {
      const stream = Buffer.concat([before, after])
      const whole = new TextScanner(true)
      const { text: expected, consumed } = whole.push(stream)
      const scanner = new TextScanner(true)
      let total = 0
      const texts: Buffer[] = []
      for (const piece of pieces(stream, at)) {
        const result = scanner.push(piece)
        texts.push(Buffer.from(result.text))
        total += result.consumed
        if (result.consumed < piece.length) break
      }
      expect(Buffer.concat(texts)).toEqual(Buffer.from(expected))
      // The last byte consumed may be the first of the next piece.
      expect(total).toBe(consumed)
    }),
    { numRuns: 500 },
  )
})

test('a piece of text may begin and end inside of a character', () => {
  const stream = Buffer.from('日本語'.repeat(10))
  expect(isText(stream.subarray(1, 20))).toBe(true)
  expect(isText(Buffer.from('a\0b'))).toBe(false)
  expect(isText(Uint8Array.from([0x61, 0xff, 0x61]))).toBe(false)
})
