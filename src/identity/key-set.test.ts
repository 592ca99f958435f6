import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  KEY_AGE_MS,
  KeySet,
  MAX_WAITING,
  type PublishedKeys,
  REFRESH_BURST,
  REFRESH_COOLDOWN_MS,
  RETRY_MS,
  STALE_LIMIT_MS,
} from './key-set.ts'
import type { VerificationKey } from './verification-key.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = (id: string): VerificationKey => ({ id, algorithms: ['ES256'], publicKey, fingerprint: id })

const UNKNOWN = 'a key that its issuer does not publish'
const UNREACHABLE = 'the identity provider cannot be reached'

/** An issuer in memory: what it publishes, whether it can be reached, and how often it was asked. */
const issuer = {
  published: [] as VerificationKey[],
  maxAgeSeconds: undefined as number | undefined,
  problem: '',
  asked: 0,
  load(): Promise<PublishedKeys> {
    issuer.asked += 1
    if (issuer.problem !== '') return Promise.reject(new Error(issuer.problem))
    return Promise.resolve({ keys: issuer.published, maxAgeSeconds: issuer.maxAgeSeconds })
  },
}
let keys: KeySet
const changes: { ready: boolean; reason: string }[] = []

function open(): KeySet {
  const opened = new KeySet({
    load: () => issuer.load(),
    clock: Date.now,
    onReadinessChange: () => changes.push(opened.readiness),
  })
  return opened
}

const find = async (id: string | undefined): Promise<string> => (await keys.find('ES256', id)).id

beforeEach(async () => {
  vi.useFakeTimers()
  Object.assign(issuer, { published: [key('a')], maxAgeSeconds: undefined, problem: '', asked: 0 })
  changes.length = 0
  keys = open()
  await vi.advanceTimersByTimeAsync(0)
})
afterEach(() => {
  keys.close()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

test('a key that is there is found without asking and without waiting', () => {
  expect(keys.find('ES256', 'a')).toMatchObject({ id: 'a' })
  expect(issuer.asked).toBe(1)
})

test('a token without key id may have the only key that fits', async () => {
  expect(await find(undefined)).toBe('a')
  issuer.published = [key('a'), key('b')]
  await vi.advanceTimersByTimeAsync(KEY_AGE_MS.default)
  await expect(find(undefined)).rejects.toThrow(UNKNOWN)
})

test('a key is not found for an algorithm it is not for', async () => {
  await vi.advanceTimersByTimeAsync(REFRESH_COOLDOWN_MS)
  await expect(Promise.resolve(keys.find('RS256', 'a'))).rejects.toThrow(UNKNOWN)
})

test('an unknown key makes the issuer be asked a few times at once, then once in a while, however many ask', async () => {
  const asked: number[] = []
  for (let n = 0; n < REFRESH_BURST; n += 1) {
    await expect(find(`made-up-${n}`)).rejects.toThrow(UNKNOWN)
    asked.push(issuer.asked)
  }
  expect(asked).toEqual([2, 3, 4])
  const beforeMs = 3000
  await vi.advanceTimersByTimeAsync(beforeMs)
  const retryAfterSeconds = (REFRESH_COOLDOWN_MS - beforeMs) / 1000
  await expect(find('one-more')).rejects.toMatchObject({ status: { code: 503, details: { retryAfterSeconds } } })

  issuer.published = [key('a'), key('b')]
  await vi.advanceTimersByTimeAsync(REFRESH_COOLDOWN_MS - beforeMs)
  expect(await Promise.all([find('b'), find('b'), find('a')])).toEqual(['b', 'b', 'a'])
  expect(issuer.asked).toBe(5)
  const flood = await Promise.allSettled(Array.from({ length: 500 }, (_, n) => find(`made-up-${n}`)))
  expect(flood.every(({ status }) => status === 'rejected')).toBe(true)
  expect(issuer.asked).toBe(5)
})

test('what was asked before a caller came is no answer to it', async () => {
  const first = find('made-up')
  // The issuer has read what it publishes by now, and the answer is under way.
  issuer.published = [key('a'), key('b')]
  expect(await find('b')).toBe('b')
  await expect(first).rejects.toThrow(UNKNOWN)
  expect(issuer.asked).toBe(3)
})

test('a clock that is put back stops nobody for longer than a flood does', async () => {
  for (let n = 0; n < REFRESH_BURST; n += 1) await expect(find(`made-up-${n}`)).rejects.toThrow(UNKNOWN)
  vi.setSystemTime(Date.now() - 3600_000)
  const retryAfterSeconds = REFRESH_COOLDOWN_MS / 1000
  await expect(find('b')).rejects.toMatchObject({ status: { code: 503, details: { retryAfterSeconds } } })
  issuer.published = [key('b')]
  await vi.advanceTimersByTimeAsync(REFRESH_COOLDOWN_MS)
  expect(await find('b')).toBe('b')
})

test('so many callers wait for a refresh and no more', async () => {
  await vi.advanceTimersByTimeAsync(REFRESH_COOLDOWN_MS)
  const flood = await Promise.allSettled(Array.from({ length: MAX_WAITING + 1 }, (_, n) => find(`made-up-${n}`)))
  const reasons = flood.map((result) => (result.status === 'rejected' ? (result.reason as Error).message : ''))
  expect(reasons.filter((reason) => reason.includes(UNREACHABLE))).toHaveLength(1)
  // The first caller's question, and another for those who came when that was asked.
  expect(issuer.asked).toBe(3)
})

test('keys are fetched anew when they come of age, and a withdrawn key is gone', async () => {
  await vi.advanceTimersByTimeAsync(KEY_AGE_MS.default)
  expect(issuer.asked).toBe(2)
  expect(keys.holds(key('a'))).toBe(true)

  issuer.published = [key('b')]
  await vi.advanceTimersByTimeAsync(KEY_AGE_MS.default)
  await expect(find('a')).rejects.toThrow(UNKNOWN)
  expect(await find('b')).toBe('b')
  expect(keys.holds(key('a'))).toBe(false)
})

test.for([
  ['an hour', 3600, 3600_000],
  ['nothing at all', 0, KEY_AGE_MS.min],
  ['a year', 365 * 24 * 3600, KEY_AGE_MS.max],
] as const)('the issuer may ask to keep keys for %s, within bounds', async ([, maxAgeSeconds, ageMs]) => {
  issuer.maxAgeSeconds = maxAgeSeconds
  await vi.advanceTimersByTimeAsync(KEY_AGE_MS.default)
  expect(issuer.asked).toBe(2)
  await vi.advanceTimersByTimeAsync(ageMs - 1)
  expect(issuer.asked).toBe(2)
  await vi.advanceTimersByTimeAsync(1)
  expect(issuer.asked).toBe(3)
})

test('keys serve on while the issuer is away, but not for ever', async () => {
  issuer.problem = 'connection refused'
  await vi.advanceTimersByTimeAsync(KEY_AGE_MS.default)
  expect(await find('a')).toBe('a')
  expect(keys.readiness).toEqual({ ready: true, reason: 'connection refused' })
  await expect(find('b')).rejects.toThrow(UNREACHABLE)

  await vi.advanceTimersByTimeAsync(STALE_LIMIT_MS - 1)
  expect(await find('a')).toBe('a')
  await vi.advanceTimersByTimeAsync(RETRY_MS.max)
  await expect(find('a')).rejects.toThrow(UNREACHABLE)
  expect(keys.readiness).toEqual({ ready: false, reason: 'connection refused' })

  issuer.problem = ''
  await vi.advanceTimersByTimeAsync(RETRY_MS.max)
  expect(await find('a')).toBe('a')
  expect(changes).toEqual([
    { ready: true, reason: '' },
    { ready: true, reason: 'connection refused' },
    { ready: false, reason: 'connection refused' },
    { ready: true, reason: '' },
  ])
})

test('a set that was never fetched is tried again with growing pauses, and says why', async () => {
  keys.close()
  issuer.problem = 'connection refused'
  issuer.asked = 0
  keys = open()
  expect(keys.readiness).toEqual({ ready: false, reason: 'its keys were not fetched yet' })
  await vi.advanceTimersByTimeAsync(0)
  await expect(find('a')).rejects.toMatchObject({ status: { code: 503 }, detail: 'connection refused' })

  const pauses: number[] = []
  for (let tries = issuer.asked, waited = 0; pauses.length < 7; waited += 100) {
    if (issuer.asked > tries) {
      pauses.push(waited)
      waited = 0
      tries = issuer.asked
    }
    await vi.advanceTimersByTimeAsync(100)
  }
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000])

  issuer.problem = ''
  await vi.advanceTimersByTimeAsync(RETRY_MS.max)
  expect(keys.readiness).toEqual({ ready: true, reason: '' })
})

test('a caller that comes while the first fetch is under way waits for it', async () => {
  keys.close()
  keys = open()
  expect(await find('a')).toBe('a')
})

test('a closed set asks no more and says nothing', async () => {
  keys.close()
  const { length } = changes
  await vi.advanceTimersByTimeAsync(24 * 3600_000)
  expect(issuer.asked).toBe(1)
  expect(changes).toHaveLength(length)
})

test('a set that is closed while it asks does not ask again', async () => {
  keys.close()
  issuer.asked = 0
  keys = open()
  keys.close()
  await vi.advanceTimersByTimeAsync(24 * 3600_000)
  expect(issuer.asked).toBe(1)
})
