import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assertRoom, loginPath, withLoginLock } from './login-cache-writer.ts'

const LOGIN = { portal: 'https://postern.example.com', issuer: 'https://sso.example.com', clientID: 'postern' }
const NOBODY = 65534
const isRoot = process.geteuid?.() === 0

/** An empty database whose head says that only a later SQLite may write it. */
function ofNewerVersion(): Buffer {
  const head = Buffer.alloc(4096)
  head.write('SQLite format 3\0', 'latin1')
  Buffer.from([0x10, 0x00, 3, 1, 0, 64, 32, 32]).copy(head, 16)
  head.writeUInt32BE(1, 28)
  head.writeUInt32BE(1, 56)
  Buffer.from([0x0d, 0, 0, 0, 0, 0x10, 0x00, 0]).copy(head, 100)
  return head
}

let cacheDirectory: string
let path: string
let lock: string
beforeEach(() => {
  cacheDirectory = mkdtempSync(join(tmpdir(), 'postern-lock-'))
  path = loginPath(cacheDirectory, LOGIN)
  lock = join(dirname(path), 'lock')
  mkdirSync(dirname(path), { recursive: true })
})
afterEach(() => {
  rmSync(cacheDirectory, { recursive: true, force: true })
})

test('the lock lets one in at a time, and the next when the first is done', async () => {
  let inside = 0
  const seen = await Promise.all(
    [1, 2, 3].map(() =>
      withLoginLock(path, async () => {
        inside += 1
        await new Promise(setImmediate)
        return inside--
      }),
    ),
  )
  expect(seen).toEqual([1, 1, 1])
})

test('a lock ends also when what it protects fails', async () => {
  await expect(withLoginLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(withLoginLock(path, () => 'yes')).resolves.toBe('yes')
})

test('a lock that is not free in time is told of with its file', async () => {
  const [held, done] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
  const first = withLoginLock(path, () => {
    held.resolve(undefined)
    return done.promise
  })
  await held.promise
  await expect(withLoginLock(path, () => 'in', { name: 'lock', timeoutMs: 10, settled: () => null })).rejects.toThrow(
    expect.objectContaining({ code: 'CacheBusy', message: expect.stringContaining(lock) as unknown }),
  )
  done.resolve(undefined)
  await first
})

test.for([
  ['garbage', Buffer.from('this is no database, but longer than the head of one is: '.repeat(40))],
  ['noise', randomBytes(8192)],
  // Which SQLite would open to read only, and lock out nobody.
  ['a database of a version to come', ofNewerVersion()],
  ['the head of a database and no more', Buffer.from('SQLite format 3\0'.padEnd(4096, 'x'))],
] as const)('a lock file with %s in it is made anew, and lets one in at a time', async ([, bytes]) => {
  writeFileSync(lock, bytes, { mode: 0o600 })
  let inside = 0
  const seen = await Promise.all(
    [1, 2, 3].map(() =>
      withLoginLock(path, async () => {
        inside += 1
        await new Promise(setImmediate)
        return inside--
      }),
    ),
  )
  expect(seen).toEqual([1, 1, 1])
  expect(readFileSync(lock)).toHaveLength(0)
})

describe('a lock that cannot be locked lets nobody in, and the error names the file and what to do:', () => {
  let entered: boolean
  const enter = (): Promise<unknown> => withLoginLock(path, () => (entered = true))
  beforeEach(() => {
    entered = false
  })
  afterEach(() => {
    expect(entered).toBe(false)
  })

  test('a directory', async () => {
    mkdirSync(lock)
    await expect(enter()).rejects.toThrow(
      expect.objectContaining({
        code: 'CacheUnusable',
        message: `${lock} is no ordinary file; remove it and try again`,
      }),
    )
  })

  test('a path that is too long for SQLite', async () => {
    const deep = join(cacheDirectory, ...Array<string>(10).fill('x'.repeat(60)))
    const file = loginPath(deep, LOGIN)
    await expect(withLoginLock(file, () => (entered = true))).rejects.toThrow(
      expect.objectContaining({
        code: 'CacheUnusable',
        message: `${join(dirname(file), 'lock')} cannot be locked (unable to open database file); mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME`,
      }),
    )
  })

  test('a link', async () => {
    writeFileSync(`${lock}.elsewhere`, '')
    symlinkSync(`${lock}.elsewhere`, lock)
    await expect(enter()).rejects.toThrow(`${lock} is no ordinary file; remove it and try again`)
  })

  test.skipIf(!isRoot)('a file of somebody else', async () => {
    writeFileSync(lock, '', { mode: 0o644 })
    chownSync(lock, NOBODY, NOBODY)
    await expect(enter()).rejects.toThrow(
      expect.objectContaining({
        code: 'CacheUnusable',
        message: `${lock} belongs to another account; remove it and try again`,
      }),
    )
  })
})

test.skipIf(process.platform === 'win32')('a lock file that can be read and not written lets nobody in', async () => {
  writeFileSync(lock, '', { mode: 0o444 })
  chmodSync(lock, 0o444)
  // Modes keep nobody out who is root.
  if (isRoot)
    for (const file of [cacheDirectory, dirname(dirname(path)), dirname(path), lock]) chownSync(file, NOBODY, NOBODY)
  const writer = new URL('./login-cache-writer.ts', import.meta.url).href
  const script = `
    const { withLoginLock } = await import(${JSON.stringify(writer)})
    await withLoginLock(${JSON.stringify(path)}, () => console.log('in')).catch(({ code, message }) => console.log(code, message))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    env: {},
  })
  expect(stdout).toBe(
    `CacheUnusable ${lock} cannot be written (EACCES); mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME\n`,
  )
})

describe('whether there is room for a login', () => {
  test('leaves nothing behind when there is', async () => {
    await assertRoom(path)
    expect(readdirSync(dirname(path))).toEqual(['lock'])
  })

  test('is told before anything is done when something is in its place', async () => {
    mkdirSync(path)
    await expect(assertRoom(path)).rejects.toThrow(
      expect.objectContaining({
        code: 'CacheUnusable',
        message: `${path} is no ordinary file; remove it and try again`,
      }),
    )
    expect(existsSync(path)).toBe(true)
  })
})
