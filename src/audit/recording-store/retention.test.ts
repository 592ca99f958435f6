import { describe, expect, it } from 'vitest'
import { expiredRecordings, Retention } from './retention.ts'

// Attack G8.

const day = 24 * 3_600_000
const recording = (id: string, ageDays: number, byteLength: number, underWay = false) => ({
  id,
  byteLength,
  writtenAtMs: 100 * day - ageDays * day,
  underWay,
})
const expired = (maxAgeMs: number | null, maxBytes: number | null, ...usage: ReturnType<typeof recording>[]) =>
  expiredRecordings(usage, { maxAgeMs, maxBytes }, 100 * day).map(({ id, reason }) => `${id}: ${reason}`)

describe('what is due', () => {
  it('is what is older than may be', () => {
    expect(expired(30 * day, null, recording('new', 1, 9), recording('old', 31, 9), recording('month', 30, 9))).toEqual(
      ['old: age'],
    )
  })

  it('is the oldest, until the rest is small enough', () => {
    const all = [recording('b', 2, 40), recording('a', 3, 40), recording('c', 1, 40), recording('d', 0, 40)]
    expect(expired(null, 100, ...all)).toEqual(['a: size', 'b: size'])
  })

  it('is told by its age first', () => {
    expect(expired(2 * day, 50, recording('a', 3, 40), recording('b', 1, 40), recording('c', 0, 40))).toEqual([
      'a: age',
      'b: size',
    ])
  })

  it('is never under way, though that counts', () => {
    expect(expired(2 * day, 50, recording('live', 9, 60, true), recording('b', 1, 40))).toEqual(['b: size'])
    expect(expired(2 * day, 50, recording('live', 9, 60, true))).toEqual([])
  })

  it('is nothing without limits', () => {
    expect(expired(null, null, recording('a', 9_999, 1e15))).toEqual([])
  })
})

it('deletes what it can, and tells what it deleted and that something failed', async () => {
  const now = Date.now()
  const usage = ['a', 'broken', 'c', 'gone'].map((id) => ({
    id,
    byteLength: 1,
    writtenAtMs: now - day,
    underWay: false,
  }))
  const told: string[] = []
  const retention = new Retention(
    {
      usage: () => Promise.resolve(usage),
      remove: (id) => (id === 'broken' ? Promise.reject(new Error('no')) : Promise.resolve(id !== 'gone')),
    },
    { maxAgeMs: 1000, maxBytes: null },
    {
      onDeleted: (id, reason) => told.push(`${id}: ${reason}`),
      onProblem: ({ message }) => told.push(message),
    },
  )
  await retention.sweep()
  await retention.stop()
  expect(told).toEqual(['a: age', 'c: age', 'recordings that are due cannot be deleted'])
})
