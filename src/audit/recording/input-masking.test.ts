import { expect, test } from 'vitest'
import { cpuStopwatch } from '../../../test/support/cpu-stopwatch.ts'
import { InputMasking } from './input-masking.ts'

function masked(line: string, patterns: readonly RegExp[] = []): string {
  const masking = new InputMasking(patterns)
  masking.add(line)
  return masking.endLine('')
}

test.each([
  ['export PASSWORD=hunter2; ls', 'export PASSWORD=*******; ls'],
  ['curl -H "Authorization: Bearer abcdefgh12345"', 'curl -H "Authorization: Bearer *************"'],
  ['aws configure set x AKIAIOSFODNN7EXAMPLE', 'aws configure set x ********************'],
  ['mysql --password hunter2 db', 'mysql --password ******* db'],
  ['psql postgres://app:s3cret@db/x', 'psql postgres://app:******@db/x'],
  ['{"api_key": "abc"}', '{"api_key": "***"}'],
  ['TOKEN=eyJhbGciOi.e30.c2ln', 'TOKEN=*******************'],
  ['kubectl get secret db', 'kubectl get secret db'],
  ['echo 日本 password=日本', 'echo 日本 password=**'],
])('%s', (line, shown) => {
  expect(masked(line)).toBe(shown)
})

test('patterns of one’s own are masked wherever they match', () => {
  expect(masked('id 4711 and 4712', [/47\d\d/])).toBe('id **** and ****')
})

test('what is masked is counted in characters', () => {
  const masking = new InputMasking([])
  masking.add('password=日本')
  masking.hide()
  masking.endLine('\n')
  expect(masking.maskedCharacters).toBe(3)
})

test('the rest of a line that is too long is masked', () => {
  const masking = new InputMasking([])
  for (let i = 0; i < 100; i++) masking.add('x'.repeat(100))
  expect(masking.endLine('\r')).toBe('x'.repeat(4096) + '*\r')
  expect(masking.maskedCharacters).toBe(10_000 - 4096)
})

test('hostile lines take no time worth speaking of', () => {
  const spentMs = cpuStopwatch()
  for (const piece of ['password', '://a:', 'bearer ', 'eyJ', '-----BEGIN ', '"= ', 'token=', '--secret '])
    masked(piece.repeat(4096 / piece.length))
  expect(spentMs()).toBeLessThan(1000)
})
