import { expect, test } from 'vitest'
import { ExpiringMap } from './expiring-map.ts'

test('an entry is there until its time and not at it', () => {
  const map = new ExpiringMap<string>(10)
  map.set('a', 'value', { expiresAtMs: 100, nowMs: 0 })
  expect(map.get('a', 99)).toBe('value')
  expect(map.get('a', 100)).toBeUndefined()
  expect(map.get('a', 99)).toBeUndefined()
})

test('a full map lets its oldest entry go', () => {
  const map = new ExpiringMap<number>(2)
  for (const value of [1, 2, 3]) map.set(`${value}`, value, { expiresAtMs: 100, nowMs: 0 })
  expect([map.get('1', 0), map.get('2', 0), map.get('3', 0)]).toEqual([undefined, 2, 3])
})

test('entries that ended make room before the map is full', () => {
  const map = new ExpiringMap<number>(1000)
  for (let nowMs = 0; nowMs < 10_000; nowMs += 1) map.set(`${nowMs}`, nowMs, { expiresAtMs: nowMs + 5, nowMs })
  expect(map.size).toBe(5)
})

test('setting a key again makes it the newest', () => {
  const map = new ExpiringMap<number>(2)
  for (const key of ['a', 'b', 'a', 'c']) map.set(key, 1, { expiresAtMs: 100, nowMs: 0 })
  expect([map.get('a', 0), map.get('b', 0), map.get('c', 0)]).toEqual([1, undefined, 1])
})
