import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  truncateSync,
  type Stats,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { replaceFile, reservedPath, reserveFile, type ReservedFile } from './atomic-file.ts'
import { cacheUnusable, ClientError, explainFileError, noOrdinaryFile } from './client-error.ts'
import { listLogins, portalDirectory, type CachedLogin, type Login } from './login-cache.ts'

const LOCK_POLL_MS = 20

/** What a login may grow by when it is renewed: by the names of a hundred groups or so. */
const GROWTH_BYTES = 16 * 1024
/** What a first login may need: tokens as long as a gateway takes them. */
const FIRST_LOGIN_BYTES = 128 * 1024

/** The file of a login: one for each portal, issuer and client. */
export function loginPath(cacheDirectory: string, login: Pick<Login, 'portal' | 'issuer' | 'clientID'>): string {
  const key = createHash('sha256').update(JSON.stringify([login.portal, login.issuer, login.clientID]))
  return join(portalDirectory(cacheDirectory, login.portal), `${key.digest('hex').slice(0, 32)}.json`)
}

/** PEM of the authority that the latest login at a portal trusted, or null when there is no login that can be used. */
export function knownAuthority(cacheDirectory: string, portal: string): string | null {
  const { logins } = listLogins(cacheDirectory, portal)
  const [latest] = logins.toSorted((a, b) => b.login.signedInAtMs - a.login.signedInAtMs)
  return latest === undefined ? null : latest.login.portalCertificateAuthority
}

/**
 * Writes a login to its file, 0600 in directories that are 0700.
 *
 * @throws ClientError `CacheUnusable`.
 */
export function saveLogin({ path, login }: CachedLogin): void {
  writePrivateFile(path, textOf(login))
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

/** Room on the disk for a login that is about to change. One of the two ends it. */
export interface LoginRoom {
  /** @throws ClientError `CacheUnusable`. */
  readonly save: (login: Login) => void
  readonly giveBack: () => void
}

/**
 * Makes room for what comes in the place of a login, before anything is asked for that could not be asked for again. For
 * whoever has the lock.
 *
 * @throws ClientError `CacheUnusable`.
 */
export function makeRoom({ path, login }: CachedLogin): LoginRoom {
  const room = reserve(path, Buffer.byteLength(textOf(login)) + GROWTH_BYTES)
  return {
    save: (next) => {
      try {
        room.replace(textOf(next))
      } catch (error) {
        throw explainFileError(path, 'written', error)
      }
    },
    giveBack: () => {
      room.discard()
    },
  }
}

/**
 * That a login could be kept in a file, before somebody signs in for it.
 *
 * @throws ClientError `CacheUnusable`, `CacheBusy`.
 */
export async function assertRoom(path: string): Promise<void> {
  await withLoginLock(path, () => {
    if (statsOf(path)?.isFile() === false) throw noOrdinaryFile(path)
    reserve(path, FIRST_LOGIN_BYTES).discard()
  })
}

function reserve(path: string, bytes: number): ReservedFile {
  try {
    return reserveFile(path, bytes, 0o600)
  } catch (error) {
    throw explainFileError(path, 'written', error)
  }
}

function textOf(login: Login): string {
  return `${JSON.stringify(login, null, 2)}\n`
}

/** Of a login, and of what is kept beside it, nothing stays. */
export function removeLogin({ path }: CachedLogin): void {
  try {
    for (const file of [path, attemptPath(path), reservedPath(path)]) rmSync(file, { force: true })
  } catch (error) {
    throw explainFileError(path, 'written', error)
  }
}

/** Where it is kept when a browser was last opened for a login. */
export function attemptPath(loginFile: string): string {
  return `${loginFile}.attempt`
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
  makeLockFile(path)
  const database = openDatabase(path)
  try {
    const deadlineMs = performance.now() + timeoutMs
    while (!tryLock(database, path)) {
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
    throw unlockable(path, error)
  }
}

/** Without a journal on the disk, so that a full one is no hindrance. */
function tryLock(database: DatabaseSync, path: string): boolean {
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (isBusy(error)) return false
    throw unlockable(path, error)
  }
}

/**
 * An empty file of ours. Nothing is ever written into it, so what is there is damage, and goes: in its place, since another
 * file would be locked beside the first.
 *
 * It is opened only when it is new or damaged: closing a file ends every lock that this process has on it (POSIX fcntl).
 */
function makeLockFile(path: string): void {
  try {
    if (statsOf(path) === null) closeSync(openSync(path, 'a', 0o600))
    const stats = lstatSync(path)
    if (!stats.isFile()) throw noOrdinaryFile(path)
    const self = process.geteuid?.()
    if (self !== undefined && stats.uid !== self)
      throw new ClientError('CacheUnusable', `${path} belongs to another account; remove it and try again`)
    // SQLite would open it to read only, and then lock out nobody.
    accessSync(path, constants.R_OK | constants.W_OK)
    if (stats.size > 0) truncateSync(path)
  } catch (error) {
    throw explainFileError(path, 'written', error)
  }
}

function statsOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null
}

function unlockable(path: string, error: unknown): ClientError {
  return cacheUnusable(path, `cannot be locked (${error instanceof Error ? error.message : String(error)})`, error)
}

/** SQLITE_BUSY, whatever SQLite adds in the upper bits. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === 5
}

function makePrivateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (process.platform !== 'win32') chmodSync(directory, 0o700)
  } catch (error) {
    throw explainFileError(directory, 'written', error)
  }
}
