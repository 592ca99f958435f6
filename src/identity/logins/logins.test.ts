import { describe, expect, test, vi } from 'vitest'
import { ISSUER, LoginStage, START_SECONDS } from '../../../test/support/login-stage.ts'
import { REVOKED_KEPT_MS } from './cutoff.ts'
import { MAX_PLACES, SEEN_WRITTEN_EVERY_MS } from './login.ts'
import { ENDED_KEPT_MS } from './logins.ts'

const REVOKED = '401 this login was revoked by omar: stolen; sign in again with "postern client login"'
const indistinct = (by: string): string =>
  `401 a login of this person was revoked${by}, and this token does not show that it is of another, ` +
  'as one from a browser (not --device) does; sign in again with "postern client login"'
const INDISTINCT = indistinct(' by omar: stolen')

test('a login is made once, and each token of it renews it', () => {
  const stage = new LoginStage()
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
  const stage = new LoginStage()
  const login = stage.enter({ sid: 's' })
  stage.nowSeconds -= 50
  stage.enter({ sid: 's' })
  expect(login.expiresAtMs).toBe((START_SECONDS + 300) * 1000)
})

describe('a revoked login', () => {
  const revoked = async (claims: Record<string, unknown>): Promise<LoginStage> => {
    const stage = new LoginStage()
    await stage.logins.revoke(stage.enter(claims), 'omar', 'stolen')
    return stage
  }

  test.for([
    ['a token of before', { sid: 's' }, { sid: 's' }, 0, REVOKED],
    ['a refreshed token of a sid alone', { sid: 's' }, { sid: 's' }, 1000, REVOKED],
    ['a refreshed token, with its auth_time', { auth_time: 7 }, { auth_time: 7 }, 1000, REVOKED],
    ['a refreshed token with both', { sid: 's', auth_time: 7 }, { sid: 's', auth_time: 7 }, 1000, REVOKED],
    ['a refreshed token with its nonce', { nonce: 'n' }, { nonce: 'n' }, 1000, REVOKED],
    ['a refreshed token that lost its nonce', { nonce: 'n' }, {}, 1000, INDISTINCT],
    ['a refreshed token of what names no sign-in', {}, {}, 1000, INDISTINCT],
    ['a refreshed token that lost its sid and its auth_time', { sid: 's', auth_time: 7 }, {}, 1000, INDISTINCT],
    ['the first token of a sign-in, after a refreshed one that lost the nonce', {}, { nonce: 'n' }, 0, INDISTINCT],
    ['a token that was issued before and comes late', {}, { nonce: 'n', iat: START_SECONDS - 10 }, 100, INDISTINCT],
    ['a token that proves an older sign-in and comes late', {}, { auth_time: 7 }, 100, INDISTINCT],
  ] as const)('refuses %s, after a restart too', async ([, first, later, afterSeconds, sentence]) => {
    const stage = await revoked(first)
    stage.nowSeconds += afterSeconds
    expect(stage.refusal(later)).toBe(sentence)
    expect(stage.restarted().refusal(later)).toBe(sentence)
  })

  test.for([
    ['another sid', { sid: 's' }, { sid: 't' }],
    ['a later auth_time in the same session at the issuer', { sid: 's' }, { sid: 's', auth_time: START_SECONDS + 1 }],
    ['a later auth_time', { auth_time: 7 }, { auth_time: START_SECONDS + 1 }],
    ['another nonce', { nonce: 'n' }, { nonce: 'm' }],
    ['a nonce, where nothing named a sign-in before', {}, { nonce: 'n' }],
  ] as const)('is followed by a new one after a sign-in that shows by %s', async ([, first, later]) => {
    const stage = await revoked(first)
    stage.nowSeconds += 1
    const again = stage.enter(later)
    expect(again.revocation).toBeNull()
    expect(stage.logins.list()).toHaveLength(2)
    expect(stage.enter(later)).toBe(again)
    expect(stage.refusal(first)).toMatch(/^401 /)
    expect(stage.restarted().enter(later).id).toBe(again.id)
  })

  test('by its own person leaves what names no sign-in out only up to then, over a restart and a fold too', async () => {
    const stage = new LoginStage()
    await stage.logins.revoke(stage.enter(), 'ana', '', true)
    expect(stage.refusal()).toMatch(/^401 /)
    stage.nowSeconds += 1
    expect(stage.refusal({ iat: stage.nowSeconds - 1 })).toMatch(/^401 /)
    for (const one of [stage, stage.restarted()]) expect(one.refusal({ iat: stage.nowSeconds })).toBe('')
    await stage.logins.revoke(stage.enter({ iat: stage.nowSeconds }), 'omar', 'stolen')
    stage.nowSeconds += 1
    const named = stage.enter({ nonce: 'n', iat: stage.nowSeconds })
    await stage.logins.revoke(named, 'ana', '', true)
    stage.nowSeconds += 1
    for (const one of [stage, stage.restarted()]) expect(one.refusal({ iat: stage.nowSeconds })).toMatch(/^401 /)
  })

  test('takes with it what names no sign-in, for that may be of the same one, and no other', async () => {
    const stage = new LoginStage()
    const [first, other, nameless] = [stage.enter({ nonce: 'n' }), stage.enter({ nonce: 'm' }), stage.enter()]
    expect(await stage.logins.revoke(first, 'omar', 'stolen')).toEqual([first, nameless])
    expect(stage.enter({ nonce: 'm' })).toBe(other)
    expect(stage.enter({ nonce: 'k', iat: START_SECONDS - 5 }).revocation).toBeNull()
  })

  test('that names no sign-in takes all of its person with it, for it may be of any', async () => {
    const stage = new LoginStage()
    const nameless = stage.enter()
    const named = [{ sid: 's' }, { auth_time: 7 }, { nonce: 'n' }].map((claims) => stage.enter(claims))
    const boris = stage.enter({ sub: 'boris' })
    expect(await stage.logins.revoke(nameless, 'omar', 'stolen')).toEqual([nameless, ...named])
    expect(boris.revocation).toBeNull()
    for (const claims of [{ sid: 's' }, { auth_time: 7 }, { nonce: 'n' }]) {
      expect(stage.refusal(claims)).toBe(REVOKED)
      expect(stage.restarted().refusal(claims)).toBe(REVOKED)
    }
  })

  test('keeps what names no sign-in out until the revocation is forgotten, and no longer', async () => {
    const stage = await revoked({ nonce: 'n' })
    stage.nowSeconds += REVOKED_KEPT_MS / 1000 - 1
    expect(stage.refusal()).toBe(INDISTINCT)
    stage.nowSeconds += 1
    stage.enter({ sub: 'boris' })
    expect(stage.refusal()).toBe('')
    expect(stage.cutoffs.size).toBe(0)
  })

  test('goes by the newest sign-in that was seen, should the clock of the issuer be ahead', async () => {
    const stage = await revoked({ sid: 's', auth_time: START_SECONDS + 20 })
    stage.nowSeconds += 10
    expect(stage.refusal({ sid: 's', auth_time: START_SECONDS + 20 })).toBe(REVOKED)
    expect(stage.refusal({ sid: 's', auth_time: START_SECONDS + 21 })).toBe('')
  })

  test('keeps the first revocation, and tells who listens once', async () => {
    const stage = new LoginStage()
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
      cutOff: () => undefined,
      cutoffRemoved: () => undefined,
      flushed: () => Promise.reject(new Error('full')),
    }
    const stage = new LoginStage({ journal: failing })
    const login = stage.enter()
    await expect(stage.logins.revoke(login, 'omar', '')).rejects.toMatchObject({ status: { code: 503 } })
    expect(login.revocation).not.toBeNull()
  })
})

describe('an issuer ends', () => {
  const token = { issuer: ISSUER, jti: 'x', sub: 'ana', sid: '', issuedAtMs: START_SECONDS * 1000, expiresAtMs: 0 }
  const [BY_SID, BY_TIME, BORIS] = [{ sid: 's' }, { auth_time: 5 }, { sub: 'boris', sid: 's' }]
  const BY_NONCE = { nonce: 'n' }

  test.for<[string, Partial<typeof token>, readonly Record<string, unknown>[]]>([
    ['all that a person has', {}, [BY_SID, { sid: 't' }, BY_TIME, BY_NONCE]],
    ['one session, and what tells none apart', { sid: 's' }, [BY_SID, BY_TIME, BY_NONCE]],
    ['a session of nobody by name', { sub: '', sid: 's' }, [BY_SID, BORIS]],
    [
      'what was first seen shortly after',
      { issuedAtMs: (START_SECONDS - 30) * 1000 },
      [BY_SID, { sid: 't' }, BY_TIME, BY_NONCE],
    ],
    ['nothing that was first seen later', { issuedAtMs: (START_SECONDS - 31) * 1000 }, []],
    ['a session whenever it was first seen', { issuedAtMs: 0, sid: 's' }, [BY_SID]],
    ['nothing of another issuer', { issuer: 'https://other.example.com' }, []],
    ['nothing of somebody unknown', { sub: 'nobody', sid: 's' }, []],
  ])('%s', async ([, named, expected]) => {
    const stage = new LoginStage()
    const entered = [BY_SID, { sid: 't' }, BY_TIME, BY_NONCE, BORIS].map((claims) => ({
      claims,
      login: stage.enter(claims),
    }))
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

describe('where a login is seen', () => {
  test('is kept, latest first, for so many places and no more', () => {
    const login = new LoginStage().enter()
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
    const stage = new LoginStage()
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
    const stage = new LoginStage()
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

  test('when there are too many: first those that were revoked, which stay out, then those that ended', async () => {
    const stage = new LoginStage({ maxLogins: 4 })
    const [ended, revoked] = [stage.enter({ sid: 'a' }), stage.enter({ sid: 'b' })]
    await stage.logins.revoke(revoked, 'omar', 'stolen')
    stage.nowSeconds += 301
    stage.enter({ sub: 'boris', sid: 'c' })
    stage.enter({ sub: 'chen', sid: 'd' })
    expect(stage.removed).toEqual([])
    stage.enter({ sub: 'dora', sid: 'e' })
    expect(stage.removed).toEqual([revoked.id])
    stage.enter({ sub: 'dora', sid: 'f' })
    expect(stage.removed).toEqual([revoked.id, ended.id])
    for (const one of [stage, stage.restarted()])
      expect(one.refusal({ sid: 'b' })).toBe('401 this login was revoked; sign in again with "postern client login"')
  })

  test('and when all of them hold, one of a person who has more, but none of who has one', () => {
    const stage = new LoginStage({ maxLogins: 4 })
    const boris = stage.enter({ sub: 'boris', sid: 'a' })
    const [first, second] = ['b', 'c', 'd'].map((sid) => stage.enter({ sid }))
    first?.seen((stage.nowSeconds + 1) * 1000, '10.0.0.1', 'kubectl')
    expect(stage.refusal({ sub: 'chen', sid: 'e' })).toBe('')
    expect(stage.removed).toEqual([second?.id])
    expect(second?.revocation).toMatchObject({ by: 'the connector', reason: 'there were too many logins' })
    // Their own place is what somebody gets who has one.
    expect(stage.refusal({ sub: 'boris', sid: 'f' })).toBe('')
    expect(boris.revocation).toMatchObject({ by: 'the connector' })
    for (const sub of ['dora']) expect(stage.refusal({ sub, sid: 'g' })).toBe('')
    expect(stage.refusal({ sub: 'emma', sid: 'h' })).toMatch(/^503 more people are signed in/)
    expect(stage.refusal({ sub: 'dora', sid: 'g' })).toBe('')
  })

  test('and people with the last of their logins, but none of whom something was revoked', async () => {
    const stage = new LoginStage({ maxLogins: 3 })
    await stage.logins.revoke(stage.enter(), 'omar', 'stolen')
    stage.enter({ sub: 'boris', sid: 'a' })
    stage.nowSeconds += 301
    stage.enter({ sub: 'chen', sid: 'b' })
    expect(stage.refusal({ sub: 'dora', sid: 'c' })).toBe('')
    stage.nowSeconds += 301
    for (const sub of ['emma', 'fred']) await stage.logins.revoke(stage.enter({ sub, sid: 'd' }), 'omar', 'stolen')
    expect(stage.refusal({ sub: 'gina', sid: 'e' })).toMatch(/^503 more people are signed in/)
    for (const sub of ['ana', 'emma', 'fred']) expect(stage.refusal({ sub, sid: 'f' })).toBe('')
    expect(stage.refusal()).toMatch(/^401 a login of this person was revoked/)
  })

  test('and of one person rather those that name their sign-in: with another all would end', () => {
    const stage = new LoginStage({ maxLoginsOfPerson: 2 })
    const [nameless, named] = [stage.enter(), stage.enter({ nonce: 'n' })]
    named.seen((stage.nowSeconds + 1) * 1000, '10.0.0.1', 'kubectl')
    const third = stage.enter({ nonce: 'm' })
    expect(stage.logins.list()).toEqual([nameless, third])
  })

  test('and when one person has too many, theirs alone', async () => {
    const stage = new LoginStage({ maxLoginsOfPerson: 2 })
    const boris = stage.enter({ sub: 'boris', sid: 'a' })
    const [first] = [stage.enter({ sid: 'a' }), stage.enter({ sid: 'b' }), stage.enter({ sid: 'c' })]
    expect(first.revocation).toMatchObject({ by: 'the connector' })
    expect(stage.refusal({ sid: 'a' })).toMatch(/^401 this login was revoked/)
    await stage.logins.revoke(stage.enter({ sid: 'b' }), 'omar', 'stolen')
    expect([stage.refusal({ sid: 'd' }), stage.refusal({ sid: 'c' }), boris.revocation]).toEqual(['', '', null])
  })
})

describe('revocations of a person that are many', () => {
  const LIMITS = { maxCutoffsOfPerson: 2 }

  test('do not let in what was revoked of a session that goes on since a later sign-in', async () => {
    const stage = new LoginStage(LIMITS)
    await stage.logins.revoke(stage.enter({ sid: 's', auth_time: 1 }), 'omar', 'stolen')
    stage.nowSeconds += 10
    const again = stage.enter({ sid: 's', auth_time: stage.nowSeconds })
    for (let i = 0; i < 9; i += 1) {
      stage.nowSeconds += 1
      await stage.logins.revoke(stage.enter({ auth_time: stage.nowSeconds }), 'omar', 'stolen')
    }
    for (const one of [stage, stage.restarted()]) {
      expect(one.refusal({ sid: 's', auth_time: 1 })).toBe(REVOKED)
      expect(one.enter({ sid: 's', auth_time: START_SECONDS + 10 }).id).toBe(again.id)
    }
  })

  test('refuse what any of them did, though the clock of the issuer was ahead in an early one', async () => {
    const stage = new LoginStage(LIMITS)
    const logins = [START_SECONDS + 20, 1, 2, 3, 4].map((seconds) => stage.enter({ auth_time: seconds }))
    for (const login of logins) await stage.logins.revoke(login, 'omar', 'stolen')
    for (const one of [stage, stage.restarted()])
      expect(one.refusal({ auth_time: START_SECONDS + 20 })).toMatch(/^401 /)
  })

  test('come into one, which refuses every sign-in that is not known to be later', async () => {
    const stage = new LoginStage(LIMITS)
    const standing = stage.enter({ sid: 'standing' })
    for (let i = 0; i < 20; i += 1) {
      await stage.logins.revoke(stage.enter({ auth_time: stage.nowSeconds }), 'omar', 'stolen')
      stage.nowSeconds += 1
    }
    expect(stage.cutoffs.size).toBe(3)
    for (const one of [stage, stage.restarted()]) {
      expect(one.refusal({ sid: 'other' })).toBe(indistinct(''))
      expect(one.refusal({ nonce: 'n' })).toBe(indistinct(''))
      expect(one.refusal({ auth_time: START_SECONDS - 5 })).toBe(indistinct(''))
      expect(one.enter({ sid: 'standing' }).id).toBe(standing.id)
      expect(one.refusal({ auth_time: one.nowSeconds })).toBe('')
      expect(one.refusal({ sub: 'boris', nonce: 'n' })).toBe('')
    }
  })
})
