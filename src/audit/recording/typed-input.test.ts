import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InputMasking } from './input-masking.ts'
import { TypedInput } from './typed-input.ts'

/** What passes between a person and a pod: `<` typed, `>` shown, a number waits so many milliseconds. */
type Exchange = readonly (`<${string}` | `>${string}` | number)[]

function recorded(exchange: Exchange): string[] {
  const lines: string[] = []
  const input = new TypedInput(new InputMasking([]), (line) => lines.push(line))
  let atMs = 0
  for (const step of exchange) {
    if (typeof step === 'number') atMs += step
    else if (step.startsWith('<')) input.typed(Buffer.from(step.slice(1)), atMs)
    else input.shown(Buffer.from(step.slice(1)), atMs)
  }
  input.end()
  return lines
}

/** Each key echoed as it is typed. */
function echoed(text: string): Exchange {
  return Array.from(text).flatMap((key) => [`<${key}`, 20, `>${key}`] as const)
}

test.each<[string, Exchange, string[]]>([
  ['keys that are echoed', [...echoed('ls -l'), '<\r', '>\r\ntotal 0\r\n'], ['ls -l\r']],
  ['a line at once', ['<whoami\r', '>whoami\r\nroot\r\n$ '], ['whoami\r']],
  ['wide characters', [...echoed('echo 日本 é 🎉'), '<\r'], ['echo 日本 é 🎉\r']],
  ['an echo with colours', ['<l', '>\u001b[1ml\u001b[0m', '<s', '>\u001b[1ms', '<\r'], ['ls\r']],
  ['an echo split inside of an escape sequence', ['<l', '>\u001b[', '>1ml', '<\r'], ['l\r']],
  ['an echo at the margin', ['<a', '>a \r', '<b', '>b', '<\r'], ['ab\r']],
  ['keys that send escape sequences', ['<\u001b[A', '>ls', '<\u001bOP', '<\r'], ['\u001b[A\u001bOP\r']],
  ['a paste', ['<\u001b[200~id\u001b[201~', '>\u001b[7mid\u001b[27m', '<\r'], ['\u001b[200~id\u001b[201~\r']],
])('%s are clear', (_, exchange, lines) => {
  expect(recorded(exchange)).toEqual(lines)
})

test.each<[string, Exchange, string[]]>([
  ['a password', ['>Password: ', '<h', 100, '<u', 100, '<n\r', 5, '>\r\n# '], ['***\r']],
  ['a password at once', ['<hunter2\r', 50, '>\r\nLast login'], ['*******\r']],
  ['a password shown as stars', ['<h', '>*', '<u', '>*', '<\r', '>\r\n'], ['**\r']],
  ['an echo that comes too late', ['<l', 301, '>l', '<s', '>s', '<\r'], ['**\r']],
  ['what other output happens to hold', ['<o', '>hello', '<k', '<\r'], ['**\r']],
  ['what the line’s end is shown before', ['<ab\r', '>a\r\nb'], ['a*\r']],
  ['a password typed ahead', ['<su\rhunter2\r', '>su\r\nPassword: ', '>\r\n# '], ['su\r', '*******\r']],
  ['what is still waited for at the end', ['<secret'], ['******']],
])('%s is masked', (_, exchange, lines) => {
  expect(recorded(exchange)).toEqual(lines)
})

test('after a password the next line is clear again', () => {
  const password: Exchange = ['<p', 50, '<w\r', '>\r\n# ']
  expect(recorded([...echoed('su'), '<\r', '>\r\nPassword: ', ...password, ...echoed('id'), '<\r'])).toEqual([
    'su\r',
    '**\r',
    'id\r',
  ])
})

test('a line that is given up ends with the key that gave it up', () => {
  expect(recorded([...echoed('rm -rf'), '<\u0003', '>^C\r\n', ...echoed('ls'), '<\r'])).toEqual([
    'rm -rf\u0003',
    'ls\r',
  ])
})

test('nothing that was not echoed is ever clear', () => {
  const secret = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', '1'), minLength: 1, maxLength: 12 })
  const noise = fc.string({ unit: fc.constantFrom('X', 'Y', ' ', '\r', '\n', '\u001b', '[', ';', 'm'), maxLength: 10 })
  fc.assert(
    fc.property(fc.array(fc.tuple(secret, noise, fc.nat(400)), { maxLength: 8 }), (steps) => {
      const lines = recorded(steps.flatMap(([typed, shown, wait]) => [`<${typed}`, `>${shown}`, wait] as const))
      expect(lines.join('')).toMatch(/^\**$/)
      expect(lines.join('')).toHaveLength(steps.reduce((length, [typed]) => length + typed.length, 0))
    }),
    { numRuns: 1000 },
  )
})

test('what a stream without end types is bounded', () => {
  const input = new TypedInput(new InputMasking([]), () => undefined)
  for (let i = 0; i < 1000; i++) input.typed(Buffer.alloc(10_000, 'x'), 0)
  expect(input.waits).toBe(false)
})
