import { expect, test } from 'vitest'
import { z } from 'zod'
import { inspectDocument, renderMistake } from './document.ts'
import { parseSize, size } from './size.ts'

test.each([
  ['0B', 0],
  ['512B', 512],
  ['64KiB', 65_536],
  ['1MiB', 1_048_576],
  ['2GiB', 2_147_483_648],
])('%s is %i bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

test.each(['', '64', '64K', '64Ki', '64KB', '1.5MiB', '-1B', '1 KiB', '1MiB1KiB', '1234567KiB', '1toString'])(
  '%j is no size',
  (text) => {
    expect(parseSize(text)).toBeNull()
  },
)

test.each([
  ['head: 4KiB', 'a:1: head: is 4KiB, expected at least 8KiB'],
  ['head: 2MiB', 'a:1: head: is 2MiB, expected at most 1MiB'],
  ['head: 65536', 'a:1: head: is the number 65536, expected a size such as 512B, 64KiB or 1MiB'],
  ['head: big', 'a:1: head: is "big", expected a size such as 512B, 64KiB or 1MiB'],
])('%s is a mistake', (text, mistake) => {
  const schema = z.strictObject({ head: size({ minimum: '8KiB', maximum: '1MiB' }) })
  expect(inspectDocument(schema, text, 'a').mistakes.map(renderMistake)).toEqual([mistake])
})
