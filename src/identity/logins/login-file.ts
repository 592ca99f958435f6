import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { z } from 'zod'
import { type Cutoff, cutoffOf } from './cutoff.ts'
import type { LoginRecord } from './login.ts'
import type { LoginChanges } from './login-writer.ts'
import type { KeptLogins } from './logins.ts'

/** Name of the file in its directory; SQLite puts `-wal` beside it. */
export const LOGIN_FILE = 'logins.sqlite'
/** Tells our files from others of SQLite: `PoLo`. */
const APPLICATION_ID = 0x506f4c6f
const SCHEMA_VERSION = 2
/** Knew a revocation by its login alone. */
const VERSION_WITHOUT_CUTOFFS = 1
/** How long the connector before this one may take to let go of the file, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000

const SCHEMA_OF_CUTOFFS = `
  CREATE TABLE cutoffs (
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    sign_in TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    is_sign_out INTEGER NOT NULL,
    kept_until_ms INTEGER NOT NULL,
    PRIMARY KEY (issuer, sub, sign_in)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`
const SCHEMA = `
  CREATE TABLE logins (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sub TEXT NOT NULL,
    sid TEXT NOT NULL,
    authenticated_at_ms INTEGER,
    username TEXT NOT NULL,
    uid TEXT NOT NULL,
    groups_json TEXT NOT NULL,
    first_seen_at_ms INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    newest_sign_in_at_ms INTEGER NOT NULL,
    places_json TEXT NOT NULL,
    revoked_at_ms INTEGER,
    revoked_by TEXT NOT NULL,
    revoked_reason TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${APPLICATION_ID};
  ${SCHEMA_OF_CUTOFFS}
`
const SAVE_CUTOFF = 'INSERT OR REPLACE INTO cutoffs VALUES (?, ?, ?, ?, ?, ?)'
const COLUMNS = 17

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue('is no JSON')
    return z.NEVER
  }
})
const row = z.object({
  id: z.uuid(),
  key: z.string(),
  issuer: z.string(),
  sub: z.string(),
  sid: z.string(),
  authenticated_at_ms: z.int().nullable(),
  username: z.string().min(1),
  uid: z.string(),
  groups_json: json.pipe(z.array(z.string())),
  first_seen_at_ms: z.int(),
  last_seen_at_ms: z.int(),
  expires_at_ms: z.int(),
  newest_sign_in_at_ms: z.int(),
  places_json: json.pipe(z.array(z.object({ sourceIP: z.string(), userAgent: z.string(), lastSeenAtMs: z.int() }))),
  revoked_at_ms: z.int().nullable(),
  revoked_by: z.string(),
  revoked_reason: z.string(),
})
const cutoffRow = z
  .object({
    issuer: z.string(),
    sub: z.string(),
    sign_in: z.string(),
    at_ms: z.int(),
    is_sign_out: z.int(),
    kept_until_ms: z.int(),
  })
  .transform((stored): Cutoff => ({
    issuer: stored.issuer,
    sub: stored.sub,
    signIn: stored.sign_in,
    atMs: stored.at_ms,
    isSignOut: stored.is_sign_out !== 0,
    keptUntilMs: stored.kept_until_ms,
  }))

/** The kept logins cannot be used. The message is one sentence that says what to do. */
export class LoginFileError extends Error {
  override readonly name = 'LoginFileError'
}

/**
 * `DIRECTORY/logins.sqlite` (0600 in 0700), for one connector at a time. Every call blocks for as long as the disk takes:
 * none belongs on the way of a request. The caller closes it.
 */
export class LoginFile {
  readonly #database: DatabaseSync
  readonly #save: StatementSync
  readonly #remove: StatementSync
  readonly #saveCutoff: StatementSync
  readonly #removeCutoff: StatementSync

  private constructor(database: DatabaseSync) {
    this.#database = database
    this.#save = database.prepare(`INSERT OR REPLACE INTO logins VALUES (${Array(COLUMNS).fill('?').join(', ')})`)
    this.#remove = database.prepare('DELETE FROM logins WHERE id = ?')
    this.#saveCutoff = database.prepare(SAVE_CUTOFF)
    this.#removeCutoff = database.prepare('DELETE FROM cutoffs WHERE issuer = ? AND sub = ? AND sign_in = ?')
  }

  /**
   * Opens the file, made when it is missing, and reads it whole.
   *
   * @throws LoginFileError when it is damaged, of another program or a later version, in use, or cannot be had: who was
   * revoked would not be known.
   */
  static open(
    directory: string,
    { busyTimeoutMs = BUSY_TIMEOUT_MS } = {},
  ): { readonly file: LoginFile; readonly kept: KeptLogins } {
    const path = join(directory, LOGIN_FILE)
    let database: DatabaseSync | undefined
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      closeSync(openSync(path, 'a', 0o600))
      chmodSync(path, 0o600)
      database = new DatabaseSync(path, { timeout: busyTimeoutMs })
      prepare(database)
      const kept = { logins: readLogins(database), cutoffs: readCutoffs(database) }
      return { file: new LoginFile(database), kept }
    } catch (cause) {
      database?.close()
      throw new LoginFileError(explain(path, cause), { cause })
    }
  }

  /** Writes all of it or nothing, and has it on the disk when it returns. @throws when it cannot. */
  write({ cutoffs, logins, removedCutoffs, removedLogins }: LoginChanges): void {
    inTransaction(this.#database, () => {
      for (const { issuer, sub, signIn } of removedCutoffs) this.#removeCutoff.run(issuer, sub, signIn)
      for (const id of removedLogins) this.#remove.run(id)
      for (const cutoff of cutoffs) this.#saveCutoff.run(...toCutoffRow(cutoff))
      for (const record of logins) this.#save.run(...toRow(record))
    })
  }

  close(): void {
    this.#database.close()
  }
}

function prepare(database: DatabaseSync): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  const version = pragma(database, 'user_version')
  const applicationId = pragma(database, 'application_id')
  const isNew = version === 0 && applicationId === 0 && pragma(database, 'schema_version') === 0
  if (isNew) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
  else if (applicationId !== APPLICATION_ID) throw new Error('it is no file of logins')
  else if (version === VERSION_WITHOUT_CUTOFFS) addCutoffs(database)
  else if (version !== SCHEMA_VERSION)
    throw new Error(`it has version ${String(version)}, this connector knows ${SCHEMA_VERSION}`)
  // Takes the lock now where nothing was written, and finds damage before anybody comes in.
  database.exec('BEGIN IMMEDIATE; COMMIT')
  const check = pragma(database, 'quick_check')
  if (check !== 'ok') throw new Error(`it is damaged: ${String(check)}`)
}

/** Has the revocations rest on cutoffs, as they do since. */
function addCutoffs(database: DatabaseSync): void {
  const revoked = readLogins(database).flatMap((record) =>
    record.revocation === null ? [] : [cutoffOf(record, record.revocation, record.revocation.by === record.username)],
  )
  inTransaction(database, () => {
    database.exec(SCHEMA_OF_CUTOFFS)
    const save = database.prepare(SAVE_CUTOFF)
    // Of those of one sign-in the latest counts for all.
    for (const cutoff of revoked.toSorted((a, b) => a.atMs - b.atMs)) save.run(...toCutoffRow(cutoff))
  })
}

/** Does all of it or nothing. */
function inTransaction(database: DatabaseSync, act: () => void): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    act()
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function readLogins(database: DatabaseSync): readonly LoginRecord[] {
  return database.prepare('SELECT * FROM logins').all().map(toRecord)
}

function readCutoffs(database: DatabaseSync): readonly Cutoff[] {
  return database
    .prepare('SELECT * FROM cutoffs')
    .all()
    .map((value) => cutoffRow.parse(value))
}

function toCutoffRow({ issuer, sub, signIn, atMs, isSignOut, keptUntilMs }: Cutoff): (string | number)[] {
  return [issuer, sub, signIn, atMs, isSignOut ? 1 : 0, keptUntilMs]
}

function pragma(database: DatabaseSync, name: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]
}

function explain(path: string, cause: unknown): string {
  const why =
    cause instanceof z.ZodError ? 'a row of it is damaged' : cause instanceof Error ? cause.message : String(cause)
  if (isBusy(cause)) return `${path} is in use by another connector; give each a stateDirectory of its own`
  return (
    `${path} cannot be used: ${why.replaceAll(/\s+/g, ' ')}; without it nobody knows which logins were revoked. ` +
    'Mend it or bring a copy back; who moves it away lets those in again who hold such a login'
  )
}

/** @see SQLite result code SQLITE_BUSY */
function isBusy(cause: unknown): boolean {
  return cause instanceof Error && 'errcode' in cause && cause.errcode === 5
}

function toRecord(value: unknown): LoginRecord {
  const found = row.parse(value)
  const { revoked_at_ms: atMs, revoked_by: by, revoked_reason: reason } = found
  return {
    id: found.id,
    key: found.key,
    issuer: found.issuer,
    sub: found.sub,
    sid: found.sid,
    authenticatedAtMs: found.authenticated_at_ms,
    username: found.username,
    uid: found.uid,
    groups: found.groups_json,
    firstSeenAtMs: found.first_seen_at_ms,
    lastSeenAtMs: found.last_seen_at_ms,
    expiresAtMs: found.expires_at_ms,
    newestSignInAtMs: found.newest_sign_in_at_ms,
    places: found.places_json,
    revocation: atMs === null ? null : { atMs, by, reason },
  }
}

/** In the order of the columns. */
function toRow(record: LoginRecord): (string | number | null)[] {
  const { revocation } = record
  return [
    record.id,
    record.key,
    record.issuer,
    record.sub,
    record.sid,
    record.authenticatedAtMs,
    record.username,
    record.uid,
    JSON.stringify(record.groups),
    record.firstSeenAtMs,
    record.lastSeenAtMs,
    record.expiresAtMs,
    record.newestSignInAtMs,
    JSON.stringify(record.places),
    revocation?.atMs ?? null,
    revocation?.by ?? '',
    revocation?.reason ?? '',
  ]
}
