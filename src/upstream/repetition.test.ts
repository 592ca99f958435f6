import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Repetition } from './repetition.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('does the work again after the time that it asks for', async () => {
  const work = vi.fn(() => Promise.resolve(1_000))
  const repetition = new Repetition(work)
  await repetition.run()
  expect(repetition.problem).toBe('')
  await vi.advanceTimersByTimeAsync(999)
  expect(work).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(work).toHaveBeenCalledTimes(2)
  repetition.close()
})

test('does it once for all who ask meanwhile', async () => {
  const { promise, resolve } = Promise.withResolvers<number>()
  const work = vi.fn(() => promise)
  const repetition = new Repetition(work)
  const asked = [repetition.run(), repetition.run(), repetition.run()]
  resolve(1_000)
  await Promise.all(asked)
  expect(work).toHaveBeenCalledTimes(1)
  repetition.close()
})

test('tries again after pauses that grow to a minute, and says why it failed', async () => {
  const times: number[] = []
  const repetition = new Repetition(() => {
    times.push(Date.now())
    return Promise.reject(new Error('AWS is away'))
  })
  await repetition.run()
  expect(repetition.problem).toBe('AWS is away')
  await vi.advanceTimersByTimeAsync(10 * 60_000)
  repetition.close()
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  pauses.forEach((pause, index) => {
    const longest = Math.min(1_000 * 2 ** index, 60_000)
    expect(pause).toBeGreaterThanOrEqual(longest / 2)
    expect(pause).toBeLessThanOrEqual(longest)
  })
  expect(pauses.length).toBeGreaterThan(10)
})

test('begins anew with short pauses after a success', async () => {
  const outcomes = ['fail', 'fail', 'fail', 'well', 'fail', 'well']
  const times: number[] = []
  const repetition = new Repetition(() => {
    times.push(Date.now())
    return outcomes.shift() === 'fail' ? Promise.reject(new Error('no')) : Promise.resolve(100_000)
  })
  await repetition.run()
  await vi.advanceTimersByTimeAsync(110_000)
  expect((times[5] ?? 0) - (times[4] ?? 0)).toBeLessThanOrEqual(1_000)
  expect(repetition.problem).toBe('')
  repetition.close()
})

test('leaves no timer behind, even when it is closed during the work', async () => {
  const { promise, resolve } = Promise.withResolvers<number>()
  const repetition = new Repetition(() => promise)
  const asked = repetition.run()
  repetition.close()
  resolve(1)
  await asked
  expect(vi.getTimerCount()).toBe(0)
  const work = vi.fn(() => Promise.resolve(1))
  const closed = new Repetition(work)
  closed.close()
  await closed.run()
  expect(work).not.toHaveBeenCalled()
})
