import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PlainTextRenderer } from './plain-text.ts'

function linesOf(...parts: readonly string[]): string[] {
  const lines: string[] = []
  const renderer = new PlainTextRenderer((line) => lines.push(line))
  for (const part of parts) renderer.write(part)
  renderer.end()
  return lines
}

test.for([
  ['lines', 'one\r\ntwo\n\nthree', ['one', 'two', '', 'three']],
  ['colours', '\x1b[1;31mred\x1b[0m and \x1b[38;5;4mblue\x1b[m\n', ['red and blue']],
  ['a title and a link', '\x1b]0;title\x07\x1b]8;;https://x\x1b\\text\x1b]8;;\x1b\\\n', ['text']],
  ['a progress bar', '10 %\r50 %\r100 %\n', ['100 %']],
  ['a shorter text over a longer one', 'abcdef\rxy\n', ['xycdef']],
  ['a line that is erased first', 'abcdef\r\x1b[Kxy\n', ['xy']],
  ['backspaces of a shell', 'lss\b\x1b[K -l\n', ['ls -l']],
  ['insertion in the middle', 'abd\b\x1b[1@c\n', ['abcd']],
  ['deletion in the middle', 'abXc\b\b\x1b[1Pc\n', ['abc']],
  ['moving and overwriting', 'abc\x1b[2DX\x1b[CY\x1b[2GZ\n', ['aZcY']],
  ['tabs', 'a\tb\n', ['a       b']],
  ['blanks at the end', 'a   \n', ['a']],
  ['wide characters', '名前\b\bx\n', ['名x']],
  ['wide characters, overwritten from the line start', '名前\r\x1b[2CA\n', ['名A']],
  ['characters that join', 'e\u0301 👩‍💻 👍🏽\n', ['e\u0301 👩‍💻 👍🏽']],
  ['repetition', '-\x1b[4b>\n', ['----->']],
  [
    'a program on the whole screen',
    '\x1b[?1049h\x1b[2J\x1b[Htop\x1b[2;3Hrow\x1b[5;1Hend\x1b[?1049l$ \n',
    ['top', '  row', 'end', '$'],
  ],
  ['separators of Unicode', 'a\u2028b\n', ['ab']],
  ['controls', 'a\x05\x07\0b\n', ['ab']],
] as const)('%s', ([, text, lines]) => {
  expect(linesOf(text)).toEqual(lines)
})

test('a line without an end is broken, and holds no memory', () => {
  const lines = linesOf('x'.repeat(20_000))
  expect(lines.map((line) => line.length)).toEqual([8192, 8192, 3616])
  expect(linesOf('\x1b[9999@\x1b[9999@x\x1b[9999C\x1b[9999C.').join('').length).toBeLessThan(20_000)
})

test('the lines are the same however the stream is split, and hold no controls', () => {
  const pieces = fc.constantFrom(
    '\x1b[',
    '3',
    ';',
    'D',
    'C',
    'P',
    '@',
    'K',
    'H',
    'm',
    '\r',
    '\n',
    '\b',
    '\t',
    'ab',
    '名',
    '😀',
    '\u0301',
    '\x1b]0;',
    '\x07',
    '\u009b',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 80 }), fc.nat(400), (parts, cut) => {
      const stream = parts.join('')
      const lines = linesOf(stream)
      expect(linesOf(stream.slice(0, cut), stream.slice(cut))).toEqual(lines)
      for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u)
    }),
    { numRuns: 5_000 },
  )
})
