import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defaultCacheDirectory, findLogin, parsePortal, portalDirectory, readLogin, type Login } from './login-cache.ts'
import { knownAuthority, loginPath, saveLogin } from './login-cache-writer.ts'

/** Of the machine; not an argument in place, so that it is not taken for a package's. */
const MAKE_PIPE = 'mkfifo'

const PORTAL = 'https://postern.example.com'
const LOGIN: Login = {
  version: 1,
  portal: PORTAL,
  portalCertificateAuthority: '',
  issuer: 'https://sso.example.com',
  issuerCertificateAuthority: '',
  clientID: 'postern',
  idToken: 'a.b.c',
  refreshToken: 'r',
  signedInAtMs: 1,
  expiresAtMs: 3,
  refreshAtMs: 2,
  refreshFailedAtMs: 0,
  refreshFailure: '',
}

let cacheDirectory: string
beforeEach(() => {
  cacheDirectory = mkdtempSync(join(tmpdir(), 'postern-login-cache-'))
})
afterEach(() => {
  rmSync(cacheDirectory, { recursive: true, force: true })
})

function save(changes: Partial<Login> = {}): string {
  const login = { ...LOGIN, ...changes }
  const path = loginPath(cacheDirectory, login)
  saveLogin({ path, login })
  return path
}

test.for([
  ['linux', { XDG_CACHE_HOME: '/x' }, '/x/postern'],
  ['linux', {}, join(homedir(), '.cache/postern')],
  ['linux', { XDG_CACHE_HOME: 'relative' }, join(homedir(), '.cache/postern')],
  ['darwin', {}, join(homedir(), 'Library/Caches/postern')],
  ['darwin', { XDG_CACHE_HOME: '/x' }, '/x/postern'],
  ['win32', { LOCALAPPDATA: '/local' }, '/local/postern/Cache'],
] as const)('on %s with %o logins are in %s', ([platform, env, directory]) => {
  expect(defaultCacheDirectory(env, platform)).toBe(directory)
})

describe('the address of a portal', () => {
  test.for([
    ['https://postern.example.com', 'https://postern.example.com'],
    ['https://Postern.Example.com:443/', 'https://postern.example.com'],
    ['https://127.0.0.1:8444', 'https://127.0.0.1:8444'],
    ['https://[::1]:8444', 'https://[::1]:8444'],
    ['postern.example.com', 'https://postern.example.com'],
    ['localhost:8444', 'https://localhost:8444'],
  ] as const)('%s is %s', ([written, origin]) => {
    expect(parsePortal(written)).toBe(origin)
  })

  test.for([
    '',
    'postern.example.com/portal',
    'two words',
    'http://postern.example.com',
    'https://postern.example.com/portal',
    'https://postern.example.com/?a=b',
    'https://postern.example.com/#top',
    'https://me:secret@postern.example.com',
  ])('cannot be "%s"', (written) => {
    expect(() => parsePortal(written)).toThrow(expect.objectContaining({ code: 'BadArgument' }))
  })

  test('names a directory of its own, whatever characters a host has', () => {
    expect(portalDirectory('/c', 'https://[::1]:8444')).toBe('/c/logins/___1__8444')
    expect(portalDirectory('/c', 'https://postern.example.com')).toBe('/c/logins/postern.example.com')
  })
})

test('the latest login at a portal counts, unless an issuer is named', () => {
  save()
  save({ issuer: 'https://other.example.com', signedInAtMs: 2 })
  expect(findLogin(cacheDirectory, { portal: PORTAL }).login.issuer).toBe('https://other.example.com')
  expect(findLogin(cacheDirectory, { portal: PORTAL, issuer: LOGIN.issuer }).login).toEqual(LOGIN)
})

test('a login may be renewed at the portal in place of the issuer', () => {
  const authorizationServer = `${PORTAL}/oauth/sso.example.com`
  expect(readLogin(save({ authorizationServer }))?.login.authorizationServer).toBe(authorizationServer)
  expect(readLogin(save())?.login.authorizationServer).toBeUndefined()
})

test('a portal need not be named when there are logins at one only', () => {
  save()
  expect(findLogin(cacheDirectory, {}).login.portal).toBe(PORTAL)
  save({ portal: 'https://b.example.com' })
  expect(() => findLogin(cacheDirectory, {})).toThrow(
    /--portal or POSTERN_PORTAL: https:\/\/b\.example\.com, https:\/\/postern/,
  )
})

test.for([
  ['nowhere', {}, 'you are not signed in anywhere; run: postern client login --portal https://HOST'],
  ['at the portal', { portal: PORTAL }, `not signed in to ${PORTAL}; run: postern client login --portal ${PORTAL}`],
  ['with the issuer', { portal: PORTAL, issuer: 'https://i' }, `not signed in to ${PORTAL} with https://i; run`],
] as const)('being signed in %s says what to do', ([, choice, message]) => {
  expect(() => findLogin(cacheDirectory, choice)).toThrow(message)
  expect(() => findLogin(cacheDirectory, choice)).toThrow(expect.objectContaining({ code: 'NotSignedIn' }))
})

test.for([
  '',
  '{',
  'null',
  '[]',
  '{"version":1}',
  JSON.stringify({ ...LOGIN, version: 2 }),
  JSON.stringify({ ...LOGIN, authorizationServer: 1 }),
  JSON.stringify({ ...LOGIN, expiresAtMs: 1e300 }),
  JSON.stringify({ ...LOGIN, signedInAtMs: -1 }),
  JSON.stringify({ ...LOGIN, refreshFailedAtMs: 253_402_300_800_000 }),
  JSON.stringify(LOGIN).replace('"refreshAtMs":2', '"refreshAtMs":1e999'),
  'x'.repeat(300_000),
])('a damaged file counts as no login (%#)', (text) => {
  const path = loginPath(cacheDirectory, LOGIN)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode: 0o600 })
  expect(() => findLogin(cacheDirectory, { portal: PORTAL })).toThrow(/not signed in/)
  save()
  expect(readLogin(path)?.login).toEqual(LOGIN)
})

test.skipIf(process.platform === 'win32')('a file that others may read or write is refused, with the remedy', () => {
  const path = save()
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(path, mode)
    expect(() => findLogin(cacheDirectory, { portal: PORTAL })).toThrow(`run: chmod 600 '${path}'`)
  }
})

describe.skipIf(process.platform === 'win32')('a login that is unsafe', () => {
  const OTHER = 'https://other.example.com'
  let unsafe: string
  beforeEach(() => {
    save({ portalCertificateAuthority: 'the authority' })
    unsafe = save({ issuer: OTHER, signedInAtMs: 2 })
    chmodSync(unsafe, 0o644)
  })

  test('does not stand in the way where another one is meant', () => {
    expect(findLogin(cacheDirectory, { portal: PORTAL, issuer: LOGIN.issuer }).login.issuer).toBe(LOGIN.issuer)
    expect(knownAuthority(cacheDirectory, PORTAL)).toBe('the authority')
    save({ portal: OTHER })
    expect(findLogin(cacheDirectory, { portal: OTHER }).login.portal).toBe(OTHER)
  })

  test.for([[{}], [{ portal: PORTAL }], [{ portal: PORTAL, issuer: OTHER }]] as const)(
    'is told of where it may be the one that is meant (%o)',
    ([choice]) => {
      expect(() => findLogin(cacheDirectory, choice)).toThrow(`run: chmod 600 '${unsafe}'`)
    },
  )

  test('is told of, too, where it may be at another portal, and none is named', () => {
    chmodSync(unsafe, 0o600)
    chmodSync(save({ portal: OTHER }), 0o644)
    expect(() => findLogin(cacheDirectory, {})).toThrow('is open to other accounts')
    expect(findLogin(cacheDirectory, { portal: PORTAL }).login.issuer).toBe(OTHER)
  })
})

test.skipIf(process.platform === 'win32').for([
  ['a directory', (path: string): unknown => mkdirSync(path, { recursive: true })],
  ['a pipe', (path: string) => execFileSync(MAKE_PIPE, ['-m', '600', path])],
  [
    'a link',
    (path: string) => {
      writeFileSync(`${path}.elsewhere`, JSON.stringify(LOGIN), { mode: 0o600 })
      symlinkSync(`${path}.elsewhere`, path)
    },
  ],
] as const)('%s in the place of a login is refused at once, with the remedy', ([, make]) => {
  const path = loginPath(cacheDirectory, LOGIN)
  mkdirSync(dirname(path), { recursive: true })
  make(path)
  expect(() => readLogin(path)).toThrow(
    expect.objectContaining({ code: 'CacheUnusable', message: `${path} is no ordinary file; remove it and try again` }),
  )
})
