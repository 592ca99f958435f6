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

describe('a newer credential that is not of the same login does not keep a stream:', () => {
  const logins = new Logins()
  const ofLogin = (nonce: string, lifetimeMs: number, username = 'ana'): Authentication => {
    const authentication = token(username, lifetimeMs)
    const login = logins.enter(authentication, signInOf(authentication.issuer, { sub: 'ana', nonce }))
    return { ...authentication, login }
  }
  const ofAccount = (uid: string, lifetimeMs: number): Authentication => {
    const { subject, ...rest } = token('sa:system:serviceaccount:ci:deployer', lifetimeMs)
    return { ...rest, subject: { ...subject, uid } }
  }
  const certificate = (lifetimeMs: number): Authentication => ({ ...token('x509:deployer', lifetimeMs), isFinal: true })

  test.for<[string, Authentication, Authentication, number]>([
    ['another login of the same person', ofLogin('a', 1_000), ofLogin('b', 5_000), 1_500],
    ['the same login by another name', ofLogin('c', 1_000), ofLogin('c', 5_000, 'root'), 1_500],
    ['an account of the same name that was made anew', ofAccount('1', 1_000), ofAccount('2', 5_000), 1_500],
    ['another certificate of the same name, and no grace', certificate(1_000), certificate(5_000), 1_000],
  ])('%s', ([, opened, newer, endsMs]) => {
    const expiry = new LoginExpiry(500)
    const [gone, kept] = [vi.fn(), vi.fn()]
    expiry.watch(opened, gone)
    const callOff = expiry.watch(newer, kept)
    expiry.seen(newer)
    vi.advanceTimersByTime(endsMs - 1)
    expect(gone).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect([gone.mock.calls.length, kept.mock.calls.length]).toEqual([1, 0])
    callOff()
  })

  test('while one of the same login does', () => {
    const expiry = new LoginExpiry(500)
    const over = vi.fn()
    const callOff = [ofLogin('d', 1_000), ofAccount('3', 1_000)].map((opened) => expiry.watch(opened, over))
    for (const newer of [ofLogin('d', 5_000), ofAccount('3', 5_000)]) expiry.seen(newer)
    vi.advanceTimersByTime(5_499)
    expect(over).not.toHaveBeenCalled()
    for (const off of callOff) off()
  })
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

  test('counts whatever login of theirs it is of', () => {
    const changed = vi.fn()
    const all = new Logins()
    const expiry = new LoginExpiry(0, changed)
    const enter = (authentication: Authentication, sid: string): Authentication => ({
      ...authentication,
      login: all.enter(authentication, signInOf(authentication.issuer, { sub: 'ana', sid })),
    })
    const callOff = expiry.watch(enter(inGroups(['a'], 1_000), 'laptop'), () => undefined)
    const newer = enter(inGroups([], 2_000), 'desktop')
    expiry.seen(newer)
    expect(changed.mock.calls).toEqual([[newer]])
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
