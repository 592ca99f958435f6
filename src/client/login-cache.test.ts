import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defaultCacheDirectory, findLogin, parsePortal, portalDirectory, readLogin, type Login } from './login-cache.ts'
import { loginPath, saveLogin, withLoginLock } from './login-cache-writer.ts'

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

test('the lock lets one in at a time, and the next when the first is done', async () => {
  const path = loginPath(cacheDirectory, LOGIN)
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
  const path = loginPath(cacheDirectory, LOGIN)
  await expect(withLoginLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(withLoginLock(path, () => 'yes')).resolves.toBe('yes')
})
