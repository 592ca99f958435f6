import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Authentication } from '../authenticator.ts'
import type { Cutoff } from './cutoff.ts'
import type { LoginRecord } from './login.ts'
import { type LoginChanges, LoginWriter, MAX_BATCH } from './login-writer.ts'
import { Logins } from './logins.ts'
import { signInOf } from './sign-in.ts'

const ISSUER = 'https://sso.example.com'

/** A sink that remembers what was written, and fails while it is told to. */
class Disk {
  readonly rows = new Map<string, LoginRecord>()
  readonly cutoffs = new Map<string, Cutoff>()
  readonly batches: number[] = []
  full = false
  closed = false

  write({ cutoffs, logins: saved, removedCutoffs, removedLogins }: LoginChanges): void {
    if (this.full) throw new Error('no space left')
    for (const id of removedLogins) this.rows.delete(id)
    for (const { signIn } of removedCutoffs) this.cutoffs.delete(signIn)
    for (const record of saved) this.rows.set(record.id, record)
    for (const cutoff of cutoffs) this.cutoffs.set(cutoff.signIn, cutoff)
    this.batches.push(cutoffs.length + saved.length + removedCutoffs.length + removedLogins.length)
  }

  close(): void {
    this.closed = true
  }
}

let disk: Disk
let problems: unknown[]
let writer: LoginWriter
let logins: Logins

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  disk = new Disk()
  problems = []
  writer = new LoginWriter(disk, { onProblem: (error) => problems.push(error), writeEveryMs: 1000 })
  logins = new Logins({ journal: writer })
})
afterEach(() => {
  vi.useRealTimers()
})

function enter(who: string): ReturnType<Logins['enter']> {
  const authentication: Authentication = {
    subject: { username: who, uid: '', groups: [], extra: {} },
    issuer: ISSUER,
    expiresAtMs: Date.now() + 300_000,
  }
  return logins.enter(authentication, signInOf(ISSUER, { sub: who, sid: who }))
}

test('nothing is written while a request is served, but together, some time later', async () => {
  enter('ana')
  enter('boris')
  enter('ana')
  await new Promise(setImmediate)
  expect(disk.batches).toEqual([])
  await vi.advanceTimersByTimeAsync(1000)
  await vi.waitFor(() => {
    expect(disk.batches).toEqual([2])
  })
})

test('a revocation is on the disk when the promise resolves; those of a moment share a write', async () => {
  const both = [enter('ana'), enter('boris')]
  await Promise.all(both.map((login) => logins.revoke(login, 'omar', 'stolen')))
  expect([...disk.rows.values()].map(({ revocation }) => revocation?.by)).toEqual(['omar', 'omar'])
  expect(disk.cutoffs.size).toBe(2)
  expect(disk.batches).toEqual([4])
})

test('many are written a batch at a time', async () => {
  for (let i = 0; i < 2 * MAX_BATCH + 7; i += 1) enter(`p${i}`)
  await writer.flushed()
  expect(disk.batches).toEqual([MAX_BATCH, MAX_BATCH, 7])
})

test('what a revocation rests on is written before anything goes', async () => {
  const cutoff: Cutoff = { issuer: ISSUER, sub: 'ana', signIn: '', atMs: 1, isSignOut: false, keptUntilMs: 2 }
  for (let i = 0; i < MAX_BATCH; i += 1) writer.removed(`id-${i}`)
  writer.cutoffRemoved({ ...cutoff, signIn: 'folded' })
  writer.cutOff(cutoff)
  writer.cutoffRemoved({ ...cutoff, signIn: 'both' })
  writer.cutOff({ ...cutoff, signIn: 'both' })
  const written: LoginChanges[] = []
  disk.write = (changes) => written.push(changes)
  await writer.flushed()
  expect(written.map(({ cutoffs }) => cutoffs.map(({ signIn }) => signIn))).toEqual([['', 'both'], []])
  expect(written.flatMap(({ removedCutoffs }) => removedCutoffs.map(({ signIn }) => signIn))).toEqual(['folded'])
  expect(written.map(({ removedLogins }) => removedLogins.length)).toEqual([MAX_BATCH - 3, 3])
})

test('what cannot be written is told once, kept, and tried again', async () => {
  disk.full = true
  const login = enter('ana')
  await expect(logins.revoke(login, 'omar', '')).rejects.toMatchObject({ status: { code: 503 } })
  await expect(writer.flushed()).rejects.toThrow('no space left')
  expect([problems.length, writer.writable]).toEqual([1, false])
  disk.full = false
  await vi.advanceTimersByTimeAsync(1000)
  await vi.waitFor(() => {
    expect(disk.rows.get(login.id)?.revocation).toMatchObject({ by: 'omar' })
  })
  expect(writer.writable).toBe(true)
})

test('closing writes what is left, and closes the file even if that fails', async () => {
  enter('ana')
  await writer.close()
  expect([disk.rows.size, disk.closed, vi.getTimerCount()]).toEqual([1, true, 0])

  disk.closed = false
  disk.full = true
  enter('boris')
  await expect(writer.close()).rejects.toThrow('no space left')
  expect([disk.closed, vi.getTimerCount()]).toEqual([true, 0])
})
