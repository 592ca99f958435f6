import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JsonLines } from './json-lines.ts'

test('values are the same wherever the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.array(fc.nat(40), { maxLength: 20 }), (values, cuts) => {
      const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
      const lines = new JsonLines(4096)
      const read: unknown[] = []
      let at = 0
      for (const cut of [...cuts, bytes.length]) {
        const chunk = Buffer.from(bytes.subarray(at, at + cut))
        read.push(...lines.push(chunk))
        chunk.fill(0)
        at += cut
      }
      expect(JSON.stringify(read)).toBe(JSON.stringify(values))
    }),
  )
})

test('a line that is no JSON or too long is refused, in one piece or in several', () => {
  expect(() => new JsonLines(100).push(Buffer.from('nonsense\n'))).toThrow('is not JSON')
  expect(() => new JsonLines(5).push(Buffer.from('"12345"\n'))).toThrow('too long')
  const lines = new JsonLines(5)
  lines.push(Buffer.from('"123'))
  expect(() => lines.push(Buffer.from('45'))).toThrow('too long')
})
