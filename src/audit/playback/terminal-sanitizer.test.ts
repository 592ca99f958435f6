import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TerminalSanitizer } from './terminal-sanitizer.ts'

// Attack F2.

const sanitize = (text: string): string => new TerminalSanitizer().sanitize(text)

describe('what draws passes', () => {
  test.for([
    ['text with 名前 and 😀', 'text with 名前 and 😀'],
    ['a\tb\r\nc\b', 'a\tb\r\nc\b'],
    ['\x1b[1;31mred\x1b[0m\x1b[m', '\x1b[1;31mred\x1b[0m\x1b[m'],
    ['\x1b[38;5;196;48:2::1:2:3m', '\x1b[38;5;196;48:2::1:2:3m'],
    ['\x1b[H\x1b[3;4H\x1b[;5f\x1b[2J\x1b[K\x1b[2A', '\x1b[H\x1b[3;4H\x1b[;5f\x1b[2J\x1b[K\x1b[2A'],
    ['\x1b[2;20r\x1bD\x1bM\x1bE\x1b7\x1b8\x1b[s\x1b[u', '\x1b[2;20r\x1bD\x1bM\x1bE\x1b7\x1b8\x1b[s\x1b[u'],
    ['\x1b[?1049h\x1b[?25l\x1b[4h', '\x1b[?1049h\x1b[?25l\x1b[4h'],
    ['\x1b[?1049;2004;25h', '\x1b[?1049h\x1b[?25h'],
    ['\x1b[3\nA', '\n\x1b[3A'],
    ['one\vtwo\fthree', 'one\ntwo\nthree'],
  ] as const)('%j becomes %j', ([text, shown]) => {
    expect(sanitize(text)).toBe(shown)
  })

  test('line drawing becomes the characters it draws, and no character set sticks', () => {
    expect(sanitize('\x1b(0lqk\x1b(Blqk')).toBe('┌─┐lqk')
    expect(sanitize('\x1b)0\x0elqk\x0flqk\x0ex\x1bcx')).toMatch(/^┌─┐lqk│.*x$/s)
  })
})

describe('what acts does not pass', () => {
  test.for([
    ['the clipboard', '\x1b]52;c;cm0gLXJmIC8=\x07'],
    ['a title', '\x1b]0;owned\x1b\\'],
    ['an icon name', '\x1b]1;owned\x07'],
    ['a link', '\x1b]8;;https://evil.example\x1b\\'],
    ['a palette', '\x1b]4;1;?\x07'],
    ['a notification', '\x1b]9;hello\x07'],
    ['a terminated string of C1', '\x1b]0;owned\u009c'],
    ['DECRQSS', '\x1bP$q"p\x1b\\'],
    ['DECUDK', '\x1bP0;1|17/6c73\x1b\\'],
    ['APC', '\x1b_Gf=24;AAAA\x1b\\'],
    ['PM', '\x1b^private\x1b\\'],
    ['SOS', '\x1bXstring\x1b\\'],
    ['an unfinished OSC', '\x1b]0;owned'],
    ['answerback', '\x05'],
    ['the bell', '\x07'],
    ['device status', '\x1b[5n\x1b[6n\x1b[?6n\x1b[?15n'],
    ['device attributes', '\x1b[c\x1b[>c\x1b[=c\x1b[0c\x1bZ'],
    ['a terminal parameter request', '\x1b[x'],
    ['a mode request', '\x1b[?2026$p\x1b[4$p'],
    ['window operations', '\x1b[21t\x1b[8;1;1t\x1b[>1t'],
    ['printing', '\x1b[i\x1b[5i\x1b[?4i'],
    ['keyboard modes', '\x1b[>4;1m\x1b[>1u\x1b=\x1b>\x1b[?1h'],
    ['reports of mouse, focus and paste', '\x1b[?1000h\x1b[?1004h\x1b[?1006h\x1b[?2004h'],
    ['132 columns', '\x1b[?3h'],
    ['emptying of the history', '\x1b[3J'],
    ['the cursor that stays a bar', '\x1b[5 q'],
    ['tab stops', '\x1bH\x1b[3g'],
    ['margins left and right', '\x1b[?69h\x1b[5;10s'],
    ['a soft reset and an alignment test', '\x1b[!p\x1b#8'],
    ['other character sets', '\x1b%G\x1b*0\x1b+0\x1b-A\x1bn\x1bo\x1b|\x1b}\x1b~\x1bN\x1bO\x0e\x0f'],
    ['rectangles', '\x1b[65;1;1;9;9$x'],
    ['CSI with a byte too many', `\x1b[${'1;'.repeat(40)}m`],
    ['NUL, DEL, CAN and SUB', '\0\x7f\x18\x1a'],
    ['C1', '\u0084\u0085\u009a\u0090\u009c'],
    ['turned writing', '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'],
  ] as const)('%s', ([, text]) => {
    expect(sanitize(text)).toBe('')
  })

  test('what follows a C1 character is text', () => {
    expect(sanitize('\u009b31m\u009d0;title\x07.')).toBe('31m0;title.')
  })

  test('a control string ends where terminals end it', () => {
    const ends = ['\x07', '\x1b\\', '\u009c', '\x18', '\x1a']
    expect(ends.map((end) => sanitize(`\x1b]0;t\nitle${end}.`))).toEqual(['.', '.', '.', '.', '.'])
    expect(sanitize('\x1bP\x07string\x1b[1m.')).toBe('\x1b[1m.')
  })

  test('repeat counts are cut', () => {
    expect(sanitize('x\x1b[99999999999999999999b\x1b[5000;70000H')).toBe('x\x1b[1000b\x1b[1000;1000H')
  })

  test('a full reset leaves the history alone', () => {
    expect(sanitize('\x1b[?1049h\x1bc')).toMatch(/^\x1b\[\?1049h\x1b\[\?1049l(\x1b\[[?\d]*[mlhrHJ])+$/) // eslint-disable-line no-control-regex -- it is about them
  })

  test('a control string without an end hides 64 Ki characters, and says so', () => {
    const sanitizer = new TerminalSanitizer()
    expect(sanitizer.sanitize(`\x1b]0;${'x'.repeat(65_534)}seen`)).toBe('seen')
    expect(sanitizer.hiddenLength).toBe(65_536)
  })
})

test('what is left of a terminal is put back', () => {
  const sanitizer = new TerminalSanitizer()
  sanitizer.sanitize('plain')
  expect(sanitizer.restoration()).toBe('')
  sanitizer.sanitize('\x1b[?1049h\x1b[2;5r\x1b[?6h\x1b[?7l\x1b[?25l\x1b[4h\x1b[1m')
  expect(sanitizer.restoration()).toBe('\x1b[?1049l\x1b7\x1b[r\x1b[?6l\x1b8\x1b[4l\x1b[?7h\x1b[?25h\x1b[m')
  sanitizer.sanitize('\x1bc')
  expect(sanitizer.restoration()).toBe('')
})

/** All that may come out. */
const WHOLE = new RegExp(
  [
    '^(?:[^\\p{Cc}\\u202a-\\u202e\\u2066-\\u2069]|[\\b\\t\\n\\r]|\\x1b[78DEM]',
    '|\\x1b\\[(?:\\d{1,4}(?::\\d{0,4})*|(?::\\d{0,4})+)?(?:;(?:\\d{0,4}(?::\\d{0,4})*))*m',
    '|\\x1b\\[(?:\\d{1,3}|1000)?[A-GIZ`adejkPX@LMSTb]|\\x1b\\[(?:\\d{1,3}|1000)?(?:;(?:\\d{1,3}|1000)?)?[Hfr]',
    '|\\x1b\\[0*[012]?[JK]|\\x1b\\[(?:\\d{1,3}|1000)?K|\\x1b\\[[su]|\\x1b\\[4[hl]|\\x1b\\[\\?(?:6|7|25|47|104[789])[hl])*$',
  ].join(''),
  'u',
)

const pieces = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('\x1b', '\x1b[', '\x1b]', '\x1bP', '\x1b_', '\x1b(', '\x1b\\', '\x07', '?') },
  { weight: 4, arbitrary: fc.constantFrom('\x1b[?1049h', '\x1b]52;c;', '\x1b[6n', '\x1b[31', 'm', 'h', '$', ' ', '!') },
  { weight: 3, arbitrary: fc.stringMatching(/^[0-9:;<=>?]{0,8}[@-~]$/) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 0x9f }).map((code) => String.fromCharCode(code)) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
)
const streams = fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join(''))

test('nothing else ever comes out, however the stream is made and split', () => {
  fc.assert(
    fc.property(streams, fc.array(fc.nat(400), { maxLength: 8 }), (stream, cuts) => {
      const sanitizer = new TerminalSanitizer()
      const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length]
      const parts = places.slice(1).map((end, index) => sanitizer.sanitize(stream.slice(places[index], end)))
      for (const part of parts) expect(part).toMatch(WHOLE)
      expect(parts.join('')).toBe(sanitize(stream))
      expect(sanitizer.restoration()).toMatch(WHOLE)
    }),
    { numRuns: 10_000 },
  )
})

test('what came out comes out again as it is', () => {
  fc.assert(
    fc.property(streams, (stream) => {
      const once = sanitize(stream)
      expect(sanitize(once)).toBe(once)
    }),
    { numRuns: 2_000 },
  )
})
