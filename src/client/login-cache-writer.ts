import { createHash } from 'node:crypto'
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { replaceFile } from './atomic-file.ts'
import { ClientError, explainFileError } from './client-error.ts'
import { listLogins, portalDirectory, type CachedLogin, type Login } from './login-cache.ts'

const LOCK_POLL_MS = 20

/** The file of a login: one for each portal, issuer and client. */
export function loginPath(cacheDirectory: string, login: Pick<Login, 'portal' | 'issuer' | 'clientID'>): string {
  const key = createHash('sha256').update(JSON.stringify([login.portal, login.issuer, login.clientID]))
  return join(portalDirectory(cacheDirectory, login.portal), `${key.digest('hex').slice(0, 32)}.json`)
}

/** PEM of the authority that the latest login at a portal trusted, or null when there is no login. */
export function knownAuthority(cacheDirectory: string, portal: string): string | null {
  const [latest] = listLogins(cacheDirectory, portal).sort((a, b) => b.login.signedInAtMs - a.login.signedInAtMs)
  return latest === undefined ? null : latest.login.portalCertificateAuthority
}

/**
 * Writes a login to its file, 0600 in directories that are 0700.
 *
 * @throws ClientError `CacheUnusable`.
 */
export function saveLogin({ path, login }: CachedLogin): void {
  writePrivateFile(path, `${JSON.stringify(login, null, 2)}\n`)
}

/** As {@link saveLogin}, for what else is kept beside a login. */
export function writePrivateFile(path: string, text: string): void {
  makePrivateDirectory(dirname(path))
  try {
    replaceFile(path, text, 0o600)
  } catch (error) {
    throw explainFileError(path, 'written', error)
  }
}

export function removeLogin({ path }: CachedLogin): void {
  try {
    rmSync(path, { force: true })
  } catch (error) {
    throw explainFileError(path, 'written', error)
  }
}

export interface LockOptions<T> {
  /** What is locked: a name of its own for each thing that only one process may do. */
  readonly name: string
  /** How long others may hold the lock, in milliseconds. */
  readonly timeoutMs: number
  /** Asked again and again while others hold the lock: what makes it needless, or null. */
  readonly settled: () => T | null
}

/** Of a refresh, which takes two requests, each bounded, and of changes to files. */
export const LOGIN_LOCK = { name: 'lock', timeoutMs: 30_000 }

/**
 * Runs `act` while no other process does so for the logins of the same portal.
 *
 * The lock is one on a database file, so it ends with its process however that ends. It is a file of its own since the
 * login is replaced by renaming.
 *
 * @throws ClientError `CacheBusy` when the lock is not free in time, `CacheUnusable`; what `act` throws.
 */
export async function withLoginLock<T>(
  loginFile: string,
  act: () => T | Promise<T>,
  { name, timeoutMs, settled }: LockOptions<T> = { ...LOGIN_LOCK, settled: () => null },
): Promise<T> {
  const directory = dirname(loginFile)
  makePrivateDirectory(directory)
  const path = join(directory, name)
  createEmptyFile(path)
  const database = openDatabase(path)
  try {
    const deadlineMs = performance.now() + timeoutMs
    while (!tryLock(database)) {
      const instead = settled()
      if (instead !== null) return instead
      if (performance.now() > deadlineMs)
        throw new ClientError(
          'CacheBusy',
          `another postern process holds ${path} for more than ${timeoutMs / 1000} s; end it and try again`,
        )
      // Waiting inside SQLite would stop this process too.
      await sleep(LOCK_POLL_MS)
    }
    return await act()
  } finally {
    database.close()
  }
}

function openDatabase(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path)
  } catch (error) {
    throw new ClientError(
      'CacheUnusable',
      `${path} cannot be opened (${error instanceof Error ? error.message : String(error)}); remove it and try again`,
      { cause: error },
    )
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (isBusy(error)) return false
    throw error
  }
}

/** Opens it only when it is new: closing a file ends every lock that this process has on it (POSIX fcntl). */
function createEmptyFile(path: string): void {
  if (existsSync(path)) return
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch (error) {
    throw explainFileError(path, 'written', error)
  }
}

/** SQLITE_BUSY. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5
}

function makePrivateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (process.platform !== 'win32') chmodSync(directory, 0o700)
  } catch (error) {
    throw explainFileError(directory, 'written', error)
  }
}
