import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { inspectDocument, renderMistake } from './document.ts'
import { duration, parseDuration, renderDuration } from './duration.ts'
import type { Milliseconds } from './duration.ts'

describe('a duration', () => {
  test.each([
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['8h', 28_800_000],
    ['90d', 7_776_000_000],
    ['1d12h', 129_600_000],
    ['1h30m', 5_400_000],
    ['90m', 5_400_000],
    ['1h2m3s4ms', 3_723_004],
  ])('%s is %i ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds)
  })

  test.each(['', '30', '30S', '1.5h', '-1s', ' 1s', '1s ', '1m1h', '1s1s', '1w', 'h', '1_0s', '9999999s', '30s\n'])(
    '%j is none',
    (text) => {
      expect(parseDuration(text)).toBeNull()
    },
  )

  test('is read back as it was rendered', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (span) => {
        expect(parseDuration(renderDuration(span as Milliseconds))).toBe(span)
      }),
    )
  })
})

describe('in a document', () => {
  const schema = z.strictObject({ wait: duration({ minimum: '1s', maximum: '1h' }).prefault('30s') })
  test.each([
    ['wait: 5m', 300_000],
    ['{}', 30_000],
    ['wait: 1s', 1_000],
    ['wait: 60m', 3_600_000],
  ])('%s gives milliseconds', (text, wait) => {
    expect(inspectDocument(schema, text, 'a').value).toEqual({ wait })
  })

  test.each([
    ['wait: 999ms', 'a:1: wait: is 999ms, expected at least 1s'],
    ['wait: 61m', 'a:1: wait: is 61m, expected at most 1h'],
    ['wait: 30', 'a:1: wait: is the number 30, expected a duration such as 30s, 8h or 1h30m'],
    ['wait: soon', 'a:1: wait: is "soon", expected a duration such as 30s, 8h or 1h30m'],
  ])('%s is a mistake', (text, mistake) => {
    expect(inspectDocument(schema, text, 'a').mistakes.map(renderMistake)).toEqual([mistake])
  })

  test('never exceeds what a timer holds', () => {
    expect(duration().safeParse('600h').success).toBe(false)
    expect(duration().safeParse('596h').success).toBe(true)
  })

  test('a bound that is none is a bug', () => {
    expect(() => duration({ maximum: '1 week' })).toThrow(TypeError)
  })
})
