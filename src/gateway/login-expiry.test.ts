import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Authentication } from '../identity/authenticator.ts'
import { LoginExpiry } from './login-expiry.ts'

const START_MS = 1_000_000
const token = (username: string, lifetimeMs: number): Authentication => ({
  subject: { username, uid: '', groups: [], extra: {} },
  issuer: 'https://sso.example.com',
  expiresAtMs: START_MS + lifetimeMs,
})

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS })
})
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

test('a stream ends when its token and the grace are over', () => {
  const expired = vi.fn()
  new LoginExpiry(500).watch(token('ana', 1_000), expired)
  vi.advanceTimersByTime(1_499)
  expect(expired).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(expired).toHaveBeenCalledOnce()
})

test('a newer token of the same subject keeps it, that of another does not', () => {
  const logins = new LoginExpiry(0)
  const [ana, ben] = [vi.fn(), vi.fn()]
  logins.watch(token('ana', 1_000), ana)
  logins.watch(token('ben', 1_000), ben)
  logins.seen(token('ana', 5_000))
  logins.seen(token('ana', 2_000))
  vi.advanceTimersByTime(1_000)
  expect([ana.mock.calls.length, ben.mock.calls.length]).toEqual([0, 1])
  vi.advanceTimersByTime(4_000)
  expect(ana).toHaveBeenCalledOnce()
})

test('a stream that is over is forgotten', () => {
  const logins = new LoginExpiry(0)
  const expired = vi.fn()
  const callOff = logins.watch(token('ana', 1_000), expired)
  callOff()
  callOff()
  vi.advanceTimersByTime(2_000)
  expect(expired).not.toHaveBeenCalled()
})

test('a token that outlives what a timer can wait does not end a stream early', () => {
  const expired = vi.fn()
  const callOff = new LoginExpiry(0).watch(token('ana', 2 ** 33), expired)
  vi.advanceTimersByTime(2 ** 32)
  expect(expired).not.toHaveBeenCalled()
  callOff()
})
