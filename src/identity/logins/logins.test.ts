import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { StatusError } from '../../kube/status.ts'
import type { Authentication } from '../authenticator.ts'
import { type Login, MAX_PLACES, SEEN_WRITTEN_EVERY_MS } from './login.ts'
import { ENDED_KEPT_MS, Logins, type LoginsOptions, REVOKED_KEPT_MS } from './logins.ts'
import { signInOf } from './sign-in.ts'

const ISSUER = 'https://sso.example.com'
const START_SECONDS = 1_800_000_000

/** Logins on a clock of their own, entered by claims. */
class Stage {
  nowSeconds = START_SECONDS
  readonly changed: string[] = []
  readonly removed: string[] = []
  readonly logins: Logins

  constructor(options: LoginsOptions = {}) {
    const journal = {
      changed: ({ id }: Login) => this.changed.push(id),
      removed: (id: string) => this.removed.push(id),
      flushed: () => Promise.resolve(),
    }
    this.logins = new Logins({ journal, clock: () => this.nowSeconds * 1000, ...options })
  }

  /** A token of now, good for 300 s. */
  enter(claims: Record<string, unknown> = {}): Login {
    const all = { sub: 'ana', iat: this.nowSeconds, ...claims }
    return this.logins.enter(this.authentication(all.sub), signInOf(ISSUER, all))
  }

  authentication(username: string): Authentication {
    const expiresAtMs = (this.nowSeconds + 300) * 1000
    return { subject: { username, uid: '', groups: [], extra: {} }, issuer: ISSUER, expiresAtMs }
  }

  /** What a token is refused with; empty when it is taken. */
  refusal(claims: Record<string, unknown> = {}): string {
    try {
      this.enter(claims)
      return ''
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      return `${error.status.code} ${error.message}`
    }
  }

  /** The same after a restart, in any order. */
  restarted(): Stage {
    const stage = new Stage({
      kept: this.logins
        .list()
        .map(({ record }) => record)
        .toReversed(),
    })
    stage.nowSeconds = this.nowSeconds
    return stage
  }
}

const REVOKED = '401 this login was revoked by omar: stolen; sign in again with "postern client login"'

test('a login is made once, and each token of it renews it', () => {
  const stage = new Stage()
  const login = stage.enter({ sid: 's' })
  stage.nowSeconds += 100
  expect(stage.enter({ sid: 's', auth_time: START_SECONDS })).toBe(login)
  expect(login.record).toMatchObject({
    issuer: ISSUER,
    username: 'ana',
    firstSeenAtMs: START_SECONDS * 1000,
    authenticatedAtMs: START_SECONDS * 1000,
    expiresAtMs: (START_SECONDS + 400) * 1000,
  })
  expect(login.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/)
  expect(stage.enter({ sid: 't' })).not.toBe(login)
})

test('an older token that comes late changes neither the end of a login nor whose it is', () => {
  const stage = new Stage()
  const login = stage.enter({ sid: 's' })
  stage.nowSeconds -= 50
  stage.enter({ sid: 's' })
  expect(login.expiresAtMs).toBe((START_SECONDS + 300) * 1000)
})

describe('a revoked login', () => {
  const revoked = async (claims: Record<string, unknown>): Promise<Stage> => {
    const stage = new Stage()
    await stage.logins.revoke(stage.enter(claims), 'omar', 'stolen')
    return stage
  }

  test.for([
    ['a token of before', { sid: 's' }, { sid: 's' }, 0],
    ['a refreshed token of a sid alone', { sid: 's' }, { sid: 's' }, 1000],
    ['a refreshed token, with its auth_time', { auth_time: 7 }, { auth_time: 7 }, 1000],
    ['a refreshed token with both', { sid: 's', auth_time: 7 }, { sid: 's', auth_time: 7 }, 1000],
    ['a token of the same second, where iat decides', {}, {}, 0],
    ['a token that was issued before and comes late', {}, { iat: START_SECONDS - 10 }, 100],
  ] as const)('refuses %s, after a restart too', async ([, first, later, afterSeconds]) => {
    const stage = await revoked(first)
    stage.nowSeconds += afterSeconds
    expect(stage.refusal(later)).toBe(REVOKED)
    expect(stage.restarted().refusal(later)).toBe(REVOKED)
  })

  test.for([
    ['another sid', { sid: 's' }, { sid: 't' }],
    ['a later auth_time in the same session at the issuer', { sid: 's' }, { sid: 's', auth_time: START_SECONDS + 1 }],
    ['a later auth_time', { auth_time: 7 }, { auth_time: START_SECONDS + 1 }],
    ['a later token of an issuer that tells no more', {}, {}],
  ] as const)('is followed by a new one after a sign-in that shows by %s', async ([, first, later]) => {
    const stage = await revoked(first)
    stage.nowSeconds += 1
    const again = stage.enter(later)
    expect(again.revocation).toBeNull()
    expect(stage.logins.list()).toHaveLength(2)
    expect(stage.enter(later)).toBe(again)
    if (Object.keys(first).length > 0) expect(stage.refusal(first)).toBe(REVOKED)
    expect(stage.restarted().enter(later).id).toBe(again.id)
  })

  test('goes by the newest sign-in that was seen, should the clock of the issuer be ahead', async () => {
    const stage = await revoked({ iat: START_SECONDS + 20 })
    stage.nowSeconds += 10
    expect(stage.refusal({ iat: START_SECONDS + 20 })).toBe(REVOKED)
    expect(stage.refusal({ iat: START_SECONDS + 21 })).toBe('')
  })

  test('keeps the first revocation, and tells who listens once', async () => {
    const stage = new Stage()
    const login = stage.enter()
    const [told, calledOff] = [vi.fn(), vi.fn()]
    login.onRevoked(told)
    login.onRevoked(calledOff)()
    await stage.logins.revoke(login, 'omar', 'stolen')
    await stage.logins.revoke(login, 'ana', '')
    expect(login.revocation).toEqual({ atMs: START_SECONDS * 1000, by: 'omar', reason: 'stolen' })
    expect([told.mock.calls.length, calledOff.mock.calls.length]).toEqual([1, 0])
    expect(() => {
      login.assertStanding()
    }).toThrow('this login was revoked by omar')
  })

  test('is revoked though it cannot be written down, and that is said', async () => {
    const failing = {
      changed: () => undefined,
      removed: () => undefined,
      flushed: () => Promise.reject(new Error('full')),
    }
    const stage = new Stage({ journal: failing })
    const login = stage.enter()
    await expect(stage.logins.revoke(login, 'omar', '')).rejects.toMatchObject({ status: { code: 503 } })
    expect(login.revocation).not.toBeNull()
  })
})

describe('an issuer ends', () => {
  const token = { issuer: ISSUER, jti: 'x', sub: 'ana', sid: '', issuedAtMs: START_SECONDS * 1000, expiresAtMs: 0 }
  const [BY_SID, BY_TIME, BORIS] = [{ sid: 's' }, { auth_time: 5 }, { sub: 'boris', sid: 's' }]

  test.for<[string, Partial<typeof token>, readonly Record<string, unknown>[]]>([
    ['all that a person has', {}, [BY_SID, { sid: 't' }, BY_TIME]],
    ['one session, and what tells none apart', { sid: 's' }, [BY_SID, BY_TIME]],
    ['a session of nobody by name', { sub: '', sid: 's' }, [BY_SID, BORIS]],
    ['what was first seen shortly after', { issuedAtMs: (START_SECONDS - 30) * 1000 }, [BY_SID, { sid: 't' }, BY_TIME]],
    ['nothing that was first seen later', { issuedAtMs: (START_SECONDS - 31) * 1000 }, []],
    ['a session whenever it was first seen', { issuedAtMs: 0, sid: 's' }, [BY_SID]],
    ['nothing of another issuer', { issuer: 'https://other.example.com' }, []],
    ['nothing of somebody unknown', { sub: 'nobody', sid: 's' }, []],
  ])('%s', async ([, named, expected]) => {
    const stage = new Stage()
    const entered = [BY_SID, { sid: 't' }, BY_TIME, BORIS].map((claims) => ({ claims, login: stage.enter(claims) }))
    const ended = await stage.logins.endAtIssuer({ ...token, ...named })
    const revoked = entered.filter(({ login }) => login.revocation !== null)
    expect(revoked.map(({ claims }) => claims)).toEqual(expected)
    expect(ended).toEqual(revoked.map(({ login }) => login))
    for (const { claims, login } of revoked) {
      expect(login.revocation).toMatchObject({ by: named.issuer ?? ISSUER, reason: 'signed out there' })
      expect(stage.restarted().refusal(claims)).toMatch(/^401 this login was revoked by https:/)
    }
    expect(await stage.logins.endAtIssuer({ ...token, ...named })).toEqual([])
  })
})

test('no order of sign-ins, refreshes, revocations and restarts lets a token in that was issued before the revocation', async () => {
  const step = fc.constantFrom('refresh', 'revoke', 'sign in', 'restart', 'wait', 'come late')
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('sid', 'auth_time', 'both', 'neither'), fc.array(step), async (kind, steps) => {
      let stage = new Stage()
      let signIns = 0
      let [authTime, sid] = [stage.nowSeconds, 's0']
      const claims = (): Record<string, unknown> => ({
        ...((kind === 'auth_time' || kind === 'both') && { auth_time: authTime }),
        ...((kind === 'sid' || kind === 'both') && { sid }),
        iat: stage.nowSeconds,
      })
      const issued = [claims()]
      const dead: Record<string, unknown>[] = []
      for (const one of steps) {
        stage.nowSeconds += 1
        if (one === 'sign in') {
          signIns += 1
          authTime = stage.nowSeconds
          // With auth_time the issuer may go on with the same session.
          if (kind === 'sid') sid = `s${signIns}`
        }
        if (one === 'restart') stage = stage.restarted()
        if (one === 'refresh' || one === 'sign in') issued.push(claims())
        if (one === 'come late') for (const token of issued) stage.refusal(token)
        if (one === 'revoke') {
          for (const token of issued) stage.refusal(token)
          for (const login of stage.logins.list()) await stage.logins.revoke(login, 'omar', 'stolen')
          dead.push(...issued.splice(0))
        }
      }
      for (const token of dead) expect(stage.refusal(token)).toBe(REVOKED)
    }),
    { numRuns: 200 },
  )
})

describe('where a login is seen', () => {
  test('is kept, latest first, for so many places and no more', () => {
    const login = new Stage().enter()
    for (let i = 0; i < MAX_PLACES + 3; i += 1) login.seen(1000 + i, `10.0.0.${i}`, 'kubectl')
    login.seen(5000, '10.0.0.5', 'x'.repeat(10_000))
    login.seen(6000, '10.0.0.8', 'kubectl')
    const { places, lastSeenAtMs } = login.record
    expect(places).toHaveLength(MAX_PLACES)
    expect(places[0]).toEqual({ sourceIP: '10.0.0.8', userAgent: 'kubectl', lastSeenAtMs: 6000 })
    expect(places[1]?.userAgent).toHaveLength(256)
    expect(new Set(places.map(({ sourceIP, userAgent }) => sourceIP + userAgent)).size).toBe(MAX_PLACES)
    expect(lastSeenAtMs).toBe(START_SECONDS * 1000)
  })

  test('is written down when the place is new, and otherwise now and then', () => {
    const stage = new Stage()
    const login = stage.enter()
    const nowMs = START_SECONDS * 1000
    login.seen(nowMs, '10.0.0.1', 'kubectl')
    stage.changed.length = 0
    for (let i = 1; i < SEEN_WRITTEN_EVERY_MS; i += 1000) login.seen(nowMs + i, '10.0.0.1', 'kubectl')
    expect(stage.changed).toEqual([])
    login.seen(nowMs + SEEN_WRITTEN_EVERY_MS, '10.0.0.1', 'kubectl')
    expect(stage.changed).toEqual([login.id])
  })
})

describe('logins are forgotten', () => {
  test('when they ended or were revoked long ago, and not before', async () => {
    const stage = new Stage()
    const ended = stage.enter({ sid: 'a' })
    const revoked = stage.enter({ sid: 'b' })
    await stage.logins.revoke(revoked, 'omar', 'stolen')
    stage.nowSeconds += ENDED_KEPT_MS / 1000
    stage.enter({ sid: 'c' })
    expect(stage.removed).toEqual([])
    stage.nowSeconds += 3600
    stage.enter({ sid: 'd' })
    expect(stage.removed).toEqual([ended.id])
    expect(stage.refusal({ sid: 'b' })).toBe(REVOKED)
    stage.nowSeconds += REVOKED_KEPT_MS / 1000
    stage.enter({ sid: 'e' })
    expect(stage.removed).toContain(revoked.id)
  })

  test('when there are too many: first those that ended by themselves, never one that was revoked', async () => {
    const stage = new Stage({ maxLogins: 3 })
    const [ended, revoked] = [stage.enter({ sid: 'a' }), stage.enter({ sid: 'b' })]
    await stage.logins.revoke(revoked, 'omar', 'stolen')
    stage.nowSeconds += 301
    stage.enter({ sid: 'c' })
    stage.enter({ sid: 'd' })
    expect(stage.removed).toEqual([ended.id])
    expect(stage.refusal({ sid: 'e' })).toMatch(/^503 more people are signed in/)
    expect(stage.refusal({ sid: 'c' })).toBe('')
    expect(stage.refusal({ sid: 'b' })).toBe(REVOKED)
  })

  test('and a newer login of the same session does not take the revocation of the older with it', async () => {
    const stage = new Stage({ maxLogins: 2 })
    await stage.logins.revoke(stage.enter({ sid: 's', auth_time: 1 }), 'omar', 'stolen')
    stage.nowSeconds += 10
    stage.enter({ sid: 's', auth_time: stage.nowSeconds })
    stage.nowSeconds += 301
    stage.enter({ sid: 't' })
    expect(stage.removed).toHaveLength(1)
    expect(stage.refusal({ sid: 's', auth_time: 1 })).toBe(REVOKED)
  })
})
