import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Authentication } from '../identity/authenticator.ts'
import type { Login } from '../identity/logins/login.ts'
import { Logins } from '../identity/logins/logins.ts'
import { signInOf } from '../identity/logins/sign-in.ts'
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

describe('a newer token that says something else of its person', () => {
  const inGroups = (groups: string[], lifetimeMs: number): Authentication => {
    const { subject, ...rest } = token('ana', lifetimeMs)
    return { ...rest, subject: { ...subject, groups } }
  }

  test.for<[string, Authentication, number]>([
    ['of other groups', inGroups(['b'], 2_000), 1],
    ['of no group', inGroups([], 2_000), 1],
    ['of the same groups in another order', inGroups(['b', 'a'], 2_000), 0],
    ['of other groups, that is older', inGroups(['b'], 500), 0],
    ['of somebody else', token('ben', 2_000), 0],
  ])('%s', ([, newer, times]) => {
    const changed = vi.fn()
    const logins = new LoginExpiry(0, changed)
    const callOff = logins.watch(inGroups(['a', 'b'], 1_000), () => undefined)
    logins.seen(newer)
    logins.seen(newer)
    expect(changed.mock.calls).toEqual(Array(times).fill([newer]))
    callOff()
  })

  test('is nothing to a person without open streams', () => {
    const changed = vi.fn()
    const logins = new LoginExpiry(0, changed)
    logins.watch(inGroups(['a'], 1_000), () => undefined)()
    logins.seen(inGroups([], 2_000))
    expect(changed).not.toHaveBeenCalled()
  })
})

describe('a login that is revoked', () => {
  const revocation = { atMs: START_MS, by: 'omar@example.com', reason: 'stolen' }
  const withLogin = (): Authentication & { readonly login: Login } => {
    const logins = new Logins()
    const authentication = token('ana', 1_000)
    const signIn = signInOf(authentication.issuer, { sub: 'ana', sid: 's' })
    return { ...authentication, login: logins.enter(authentication, signIn) }
  }
  const sentence = 'this login was revoked by omar@example.com: stolen'

  test('ends what it opened at once and only once, and nothing of another', () => {
    const expiry = new LoginExpiry(500)
    const [ana, other] = [withLogin(), withLogin()]
    const [over, others] = [vi.fn(), vi.fn()]
    expiry.watch(ana, over)
    const callOff = expiry.watch(other, others)
    ana.login.revoke(revocation)
    expect(over.mock.calls).toEqual([[expect.objectContaining({ code: 401, message: sentence })]])
    vi.advanceTimersByTime(1_000)
    expect([over.mock.calls.length, others.mock.calls.length]).toEqual([1, 0])
    callOff()
  })

  test('ends what was on its way when it was revoked, as soon as that is open', () => {
    const ana = withLogin()
    ana.login.revoke(revocation)
    const over = vi.fn()
    new LoginExpiry(500).watch(ana, over)
    expect(over).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(over.mock.calls).toEqual([[expect.objectContaining({ code: 401, message: sentence })]])
  })

  test('leaves alone what is over already', () => {
    const ana = withLogin()
    const over = vi.fn()
    new LoginExpiry(500).watch(ana, over)()
    ana.login.revoke(revocation)
    expect(over).not.toHaveBeenCalled()
  })
})
