import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type ExpiringToken, RenewedToken } from './renewed-token.ts'

const MINUTE_MS = 60_000
const LIFE_MS = 14 * MINUTE_MS

let made: boolean[]
let make: () => Promise<ExpiringToken>
let token: RenewedToken

beforeEach(() => {
  vi.useFakeTimers()
  made = []
  make = () => Promise.resolve({ token: `token-${made.length}`, expiresAtMs: Date.now() + LIFE_MS })
  token = new RenewedToken({
    make: (refused) => {
      made.push(refused)
      return make()
    },
    refusalHint: 'ask',
    now: Date.now,
  })
})
afterEach(() => {
  token.close()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

test('there is none before the first is made', async () => {
  expect(token.authorization()).toBeUndefined()
  await token.renew()
  expect(token.authorization()).toBe('Bearer token-1')
  expect(token.problem).toBe('')
})

test('is renewed after 10 of 14 minutes', async () => {
  await token.renew()
  await vi.advanceTimersByTimeAsync(10 * MINUTE_MS - 1)
  expect(token.authorization()).toBe('Bearer token-1')
  await vi.advanceTimersByTimeAsync(1)
  expect(token.authorization()).toBe('Bearer token-2')
})

test('serves until its end while it cannot be renewed, and no longer', async () => {
  await token.renew()
  make = () => Promise.reject(new Error('AWS is away'))
  await vi.advanceTimersByTimeAsync(LIFE_MS - 1)
  expect(token.authorization()).toBe('Bearer token-1')
  expect(token.problem).toBe('AWS is away')
  await vi.advanceTimersByTimeAsync(1)
  expect(token.authorization()).toBeUndefined()
})

test('is made anew when it was refused, from what it is made of, but not in a storm', async () => {
  await token.renew()
  token.rejected()
  expect(made).toEqual([false])
  await vi.advanceTimersByTimeAsync(10_000)
  for (let refusal = 0; refusal < 100; refusal++) token.rejected()
  await vi.advanceTimersByTimeAsync(0)
  expect(made).toEqual([false, true])
  expect(token.authorization()).toBe('Bearer token-2')
})

test('is replaced ever more rarely while every one is refused, down to once in five minutes', async () => {
  await token.renew()
  for (let second = 0; second < 3600; second++) {
    token.rejected()
    await vi.advanceTimersByTimeAsync(1_000)
  }
  const replaced = made.filter((refused) => refused).length
  expect(replaced).toBeGreaterThan(12)
  expect(replaced).toBeLessThan(20)
})

test.for([
  ['that has ended', { token: 'a', expiresAtMs: 0 }, 'what the token is made from has ended; renew it'],
  ['with a line break', { token: 'secret\nX', expiresAtMs: Infinity }, 'the token holds characters that no token has'],
] as const)('one %s is not used', async ([, bad, problem]) => {
  make = () => Promise.resolve(bad)
  await token.renew()
  expect(token.authorization()).toBeUndefined()
  expect(token.problem).toBe(problem)
})

test('is gone once closed', async () => {
  await token.renew()
  token.close()
  expect(token.authorization()).toBeUndefined()
})
