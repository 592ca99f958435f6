import { expect, test } from 'vitest'
import { renderHumanDuration } from './human-duration.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

test.for([
  [-5 * SECOND, '0s'],
  [0, '0s'],
  [999, '0s'],
  [119 * SECOND, '119s'],
  [2 * MINUTE, '2m'],
  [4 * MINUTE + 12 * SECOND, '4m12s'],
  [10 * MINUTE + 59 * SECOND, '10m'],
  [179 * MINUTE, '179m'],
  [3 * HOUR, '3h'],
  [5 * HOUR + 3 * MINUTE, '5h3m'],
  [47 * HOUR, '47h'],
  [2 * DAY + 4 * HOUR, '2d4h'],
  [100 * DAY, '100d'],
  [3 * 365 * DAY + 5 * DAY, '3y5d'],
  [9 * 365 * DAY + 5 * DAY, '9y'],
] as const)('%i ms are %s', ([spanMs, text]) => {
  expect(renderHumanDuration(spanMs)).toBe(text)
})
