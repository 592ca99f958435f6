import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Cutoff, cutoffName, REVOKED_KEPT_MS } from './cutoff.ts'
import { LOGIN_FILE, LoginFile, LoginFileError } from './login-file.ts'
import type { LoginRecord } from './login.ts'
import type { LoginChanges } from './login-writer.ts'
import type { KeptLogins } from './logins.ts'

let parent: string
let directory: string
let path: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'postern-logins-'))
  directory = join(parent, 'state')
  path = join(directory, LOGIN_FILE)
})
afterEach(() => {
  rmSync(parent, { recursive: true })
})

const RECORD: LoginRecord = {
  id: '5c1f7a2e-0000-4000-8000-000000000001',
  key: '["https://sso.example.com","ana","sid s"]',
  issuer: 'https://sso.example.com',
  sub: 'ana',
  sid: 's',
  authenticatedAtMs: null,
  username: 'ana@example.com',
  uid: '',
  groups: ['payments-dev'],
  firstSeenAtMs: 1_800_000_000_000,
  lastSeenAtMs: 1_800_000_001_000,
  expiresAtMs: 1_800_000_300_000,
  newestSignInAtMs: 0,
  places: [{ sourceIP: '10.0.0.9', userAgent: 'kubectl', lastSeenAtMs: 1_800_000_001_000 }],
  revocation: null,
}

const CUTOFF: Cutoff = {
  issuer: 'https://sso.example.com',
  sub: 'ana',
  signIn: cutoffName(RECORD.key),
  atMs: 1_800_000_002_000,
  isSignOut: true,
  keptUntilMs: 1_900_000_000_000,
}

const changes = (changed: Partial<LoginChanges>): LoginChanges => ({
  cutoffs: [],
  logins: [],
  removedCutoffs: [],
  removedLogins: [],
  ...changed,
})

function keep(changed: Partial<LoginChanges>): void {
  const { file } = LoginFile.open(directory)
  file.write(changes(changed))
  file.close()
}

function kept(): KeptLogins {
  const { file, kept: found } = LoginFile.open(directory)
  file.close()
  return found
}

test('what was written is there again: saved, changed and removed', () => {
  const other = { ...RECORD, id: '9be01d44-0000-4000-8000-000000000002' }
  keep({ logins: [RECORD, other], cutoffs: [CUTOFF, { ...CUTOFF, signIn: '' }] })
  const revoked = { ...RECORD, authenticatedAtMs: 7, revocation: { atMs: 1_800_000_002_000, by: 'omar', reason: '' } }
  const later = { ...CUTOFF, atMs: 1_800_000_003_000 }
  keep({ logins: [revoked], removedLogins: [other.id], cutoffs: [later], removedCutoffs: [{ ...CUTOFF, signIn: '' }] })
  expect(kept()).toEqual({ logins: [revoked], cutoffs: [later] })
})

test('any text comes back as it was', () => {
  const texts = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !text.includes('\0'))
  fc.assert(
    fc.property(texts, fc.array(texts, { maxLength: 5 }), texts, (text, groups, reason) => {
      const record = { ...RECORD, sub: text, groups, revocation: { atMs: 1, by: `by ${text}`, reason } }
      keep({ logins: [record], cutoffs: [{ ...CUTOFF, sub: text }] })
      expect(kept().logins).toEqual([record])
      expect(kept().cutoffs).toContainEqual({ ...CUTOFF, sub: text })
    }),
    { numRuns: 20 },
  )
})

test('the file is open to its owner alone, even if it was not', () => {
  keep({ logins: [RECORD] })
  chmodSync(path, 0o644)
  const { file } = LoginFile.open(directory)
  file.write(changes({ logins: [{ ...RECORD, uid: 'u' }] }))
  for (const name of [LOGIN_FILE, `${LOGIN_FILE}-wal`]) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  file.close()
})

test('what was written survives a process that is killed', () => {
  const { file } = LoginFile.open(directory)
  file.write(changes({ logins: [RECORD] }))
  const copy = join(parent, 'copy')
  const copied = LoginFile.open(copy)
  copied.file.close()
  for (const name of [LOGIN_FILE, `${LOGIN_FILE}-wal`])
    writeFileSync(join(copy, name), readFileSync(join(directory, name)))
  expect(LoginFile.open(copy).kept.logins).toEqual([RECORD])
  file.close()
})

describe('a file that cannot be trusted is refused:', () => {
  const edited = (sql: string): void => {
    const database = new DatabaseSync(path)
    database.exec(sql)
    database.close()
  }

  test.for<[string, () => void, RegExp]>([
    [
      'other bytes',
      () => {
        writeFileSync(path, 'x'.repeat(8192))
      },
      /file is not a database/,
    ],
    [
      'half a file',
      () => {
        truncateSync(path, 5000)
      },
      /malformed|damaged/,
    ],
    [
      'another program’s',
      () => {
        edited('PRAGMA application_id = 1')
      },
      /it is no file of logins/,
    ],
    [
      'a later version',
      () => {
        edited('PRAGMA user_version = 3')
      },
      /it has version 3, this connector knows 2/,
    ],
    [
      'a groups list that is none',
      () => {
        edited(`UPDATE logins SET groups_json = '{}'`)
      },
      /a row of it is damaged/,
    ],
    [
      'half a list',
      () => {
        edited(`UPDATE logins SET places_json = '[{'`)
      },
      /a row of it is damaged/,
    ],
    [
      'a missing table',
      () => {
        edited('DROP TABLE logins')
      },
      /no such table/,
    ],
    [
      'a table of another shape',
      () => {
        edited('ALTER TABLE logins DROP COLUMN sid')
      },
      /a row of it is damaged/,
    ],
    [
      'no table of cutoffs',
      () => {
        edited('DROP TABLE cutoffs')
      },
      /no such table/,
    ],
    [
      'cutoffs of another shape',
      () => {
        edited('ALTER TABLE cutoffs DROP COLUMN at_ms')
      },
      /a row of it is damaged/,
    ],
    [
      'no file at all',
      () => {
        rmSync(path)
        rmSync(directory, { recursive: true })
        writeFileSync(directory, '')
      },
      /EEXIST|ENOTDIR/,
    ],
  ])('%s', ([, damage, why]) => {
    const others = Array.from({ length: 200 }, (_, i) => ({
      ...RECORD,
      id: RECORD.id.replace(/.{3}$/, String(100 + i)),
    }))
    keep({ logins: [RECORD, ...others], cutoffs: [CUTOFF] })
    damage()
    let thrown: unknown
    try {
      LoginFile.open(directory)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(LoginFileError)
    const { message } = thrown as LoginFileError
    expect(message).toMatch(why)
    expect(message).toMatch(
      /^[^\n]*logins\.sqlite cannot be used: [^\n]*; who moves it away lets those in again who hold such a login$|^[^\n]*$/,
    )
    expect(message).toContain('nobody knows which logins were revoked')
  })
})

test('only one connector at a time has it', () => {
  const { file } = LoginFile.open(directory)
  expect(() => LoginFile.open(directory, { busyTimeoutMs: 50 })).toThrow(
    /is in use by another connector; give each a stateDirectory of its own$/,
  )
  file.close()
  expect(kept()).toEqual({ logins: [], cutoffs: [] })
})

test('a write that fails changes nothing', () => {
  const { file } = LoginFile.open(directory)
  file.write(changes({ logins: [RECORD] }))
  const bad = { ...RECORD, id: '9be01d44-0000-4000-8000-000000000002', firstSeenAtMs: 1.5 }
  expect(() => {
    file.write(changes({ logins: [{ ...RECORD, uid: 'changed' }, bad], cutoffs: [CUTOFF] }))
  }).toThrow()
  file.write(changes({}))
  file.close()
  expect(kept()).toEqual({ logins: [RECORD], cutoffs: [] })
})

test('a file of before revocations rested on cutoffs gets them, once', () => {
  const revocation = { atMs: 1_800_000_002_000, by: 'omar', reason: '' }
  const older = { ...RECORD, id: '9be01d44-0000-4000-8000-000000000002', revocation: { ...revocation, atMs: 1 } }
  keep({ logins: [{ ...RECORD, revocation }, older] })
  const database = new DatabaseSync(path)
  database.exec('DROP TABLE cutoffs; PRAGMA user_version = 1')
  database.close()
  const cutoff = { ...CUTOFF, atMs: revocation.atMs, isSignOut: false, keptUntilMs: revocation.atMs + REVOKED_KEPT_MS }
  expect(kept()).toEqual({ logins: [{ ...RECORD, revocation }, older], cutoffs: [cutoff] })
  keep({ removedCutoffs: [cutoff] })
  expect(kept().cutoffs).toEqual([])
})
