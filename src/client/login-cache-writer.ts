import { createHash } from 'node:crypto'
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { replaceFile } from './atomic-file.ts'
import { ClientError } from './client-error.ts'
import { portalDirectory, type CachedLogin, type Login } from './login-cache.ts'

/** A refresh takes two requests, each bounded; whoever waits longer than this waits for something that hangs. */
const LOCK_TIMEOUT_MS = 30_000
const LOCK_POLL_MS = 20

/** The file of a login: one for each portal, issuer and client. */
export function loginPath(cacheDirectory: string, login: Pick<Login, 'portal' | 'issuer' | 'clientID'>): string {
  const key = createHash('sha256').update(JSON.stringify([login.portal, login.issuer, login.clientID]))
  return join(portalDirectory(cacheDirectory, login.portal), `${key.digest('hex').slice(0, 32)}.json`)
}

/** Writes a login to its file, 0600 in directories that are 0700. */
export function saveLogin({ path, login }: CachedLogin): void {
  makePrivateDirectory(dirname(path))
  replaceFile(path, `${JSON.stringify(login, null, 2)}\n`, 0o600)
}

export function removeLogin({ path }: CachedLogin): void {
  rmSync(path, { force: true })
}

/**
 * Runs `act` while no other process does so for the logins of the same portal.
 *
 * The lock is one on a database file, so it ends with its process however that ends. It is a file of its own since the
 * login is replaced by renaming.
 *
 * @throws ClientError `CacheBusy` when the lock is not free within {@link LOCK_TIMEOUT_MS}; what `act` throws.
 */
export async function withLoginLock<T>(loginFile: string, act: () => T | Promise<T>): Promise<T> {
  const directory = dirname(loginFile)
  makePrivateDirectory(directory)
  const path = join(directory, 'lock')
  createEmptyFile(path)
  const database = new DatabaseSync(path)
  try {
    await lock(database, path)
    return await act()
  } finally {
    database.close()
  }
}

/** Polls, since waiting inside SQLite would stop this process too. */
async function lock(database: DatabaseSync, path: string): Promise<void> {
  const deadlineMs = performance.now() + LOCK_TIMEOUT_MS
  for (;;) {
    try {
      database.exec('BEGIN EXCLUSIVE')
      return
    } catch (error) {
      if (!isBusy(error)) throw error
      if (performance.now() > deadlineMs)
        throw new ClientError(
          'CacheBusy',
          `another postern process holds ${path} for more than ${LOCK_TIMEOUT_MS / 1000} s; end it and try again`,
        )
    }
    await sleep(LOCK_POLL_MS)
  }
}

/** Opens it only when it is new: closing a file ends every lock that this process has on it (POSIX fcntl). */
function createEmptyFile(path: string): void {
  if (existsSync(path)) return
  closeSync(openSync(path, 'a', 0o600))
}

/** SQLITE_BUSY. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5
}

function makePrivateDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  if (process.platform !== 'win32') chmodSync(directory, 0o700)
}
