import { expect, test } from 'vitest'
import { cpuStopwatch } from '../../test/support/cpu-stopwatch.ts'
import { headerMembers, headerValues } from './raw-headers.ts'

const headers = ['Accept', 'a', 'X-Y', 'b, c', 'x-y', '\t d \t,,e', 'X-YZ', 'f', 'X-y', '']

test('a header is found in any case, each line apart', () => {
  expect(headerValues(headers, 'x-y')).toStrictEqual(['b, c', '\t d \t,,e', ''])
  expect(headerValues(headers, '__proto__')).toStrictEqual([])
  expect(headerValues(['Odd'], 'odd')).toStrictEqual([])
})

test('the members of a list are taken over all lines', () => {
  expect(headerMembers(headers, 'x-y')).toStrictEqual(['b', 'c', 'd', 'e'])
  expect(headerMembers(['A', '\xa0b\xa0'], 'a')).toStrictEqual(['\xa0b\xa0'])
})

test('a value full of blanks costs little', () => {
  const spentMs = cpuStopwatch()
  expect(headerMembers(['A', `a${' '.repeat(60_000)}b`], 'a')).toHaveLength(1)
  expect(spentMs()).toBeLessThan(300)
})
