import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redactCommand } from './command-line.ts'

test.each([
  [
    ['psql', '--password=hunter2', '-c', 'select 1'],
    ['psql', '--password=[redacted]', '-c', 'select 1'],
  ],
  [
    ['mysql', '--password', 'hunter2', 'db'],
    ['mysql', '--password', '[redacted]', 'db'],
  ],
  [
    ['sh', '-c', 'TOKEN=abc curl x; rm -rf /data'],
    ['sh', '-c', 'TOKEN=[redacted] curl x; rm -rf /data'],
  ],
  [
    ['curl', '-H', 'Authorization: Bearer eyJhbGciOi.e30.c2ln'],
    ['curl', '-H', 'Authorization: Bearer [redacted]'],
  ],
  [
    ['echo', '', '  two  spaces ', '100%', 'a&b=c'],
    ['echo', '', '  two  spaces ', '100%', 'a&b=c'],
  ],
])('%j is kept as %j', (command, kept) => {
  expect(redactCommand(command)).toEqual(kept)
})

test('arguments without secrets are kept to the letter', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc
          .string({ unit: 'binary', maxLength: 20 })
          .filter((text) => !/pass|secret|token|credential|signature|api|eyJ/i.test(text)),
      ),
      (command) => {
        expect(redactCommand(command)).toEqual(command)
      },
    ),
  )
})

test('a command is bounded', () => {
  const kept = redactCommand(Array<string>(5000).fill('x'.repeat(100)))
  expect(kept.join('').length).toBeLessThan(20_000)
  expect(kept.at(-1)).toBe('… (5000 arguments)')
  expect(redactCommand(['x'.repeat(1_000_000)])[0]).toMatch(/x… \(1000000 characters\)$/)
})
