import { expect, test } from 'vitest'
import { shortIdLength } from './short-id.ts'

test('ids are shown as long as they have to be', () => {
  const tail = '-0000-4000-8000-000000000001'
  expect(shortIdLength([`5c1f7a2e${tail}`, `7d1f7a2e${tail}`])).toBe(8)
  expect(shortIdLength([`5c1f7a2e${tail}`, `5c1f7a2e-1000-4000-8000-000000000001`])).toBe(10)
  expect(shortIdLength([`5c1f7a2e${tail}`, `5c1f7a2e-0000-4000-8000-000000000002`])).toBe(36)
  expect(shortIdLength([])).toBe(8)
})
