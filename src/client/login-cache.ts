import { homeDirectory } from '../document/home-directory.ts'
import { ClientError, explainFileError, notSignedIn } from './client-error.ts'

/*
 * The reading half of the login cache: DIRECTORY/logins/PORTAL/KEY.json, one file for each portal, issuer and client.
 * The writing half is login-cache-writer.ts.
 *
 * This runs before every kubectl call. `import` of node:fs would also load its promises, which costs a tenth of Node's
 * own start; asking the process for the module does not.
 */

const fs = process.getBuiltinModule('node:fs')
const path = process.getBuiltinModule('node:path')

/** One authenticated period of a person at a portal, as it is kept on their laptop. */
export interface Login {
  readonly version: 1
  /** Origin, `https://HOST[:PORT]`. */
  readonly portal: string
  /** PEM; empty when the system's authorities are trusted. */
  readonly portalCertificateAuthority: string
  readonly issuer: string
  /** URL of what is asked for tokens in the issuer's place, at the portal; absent where the issuer itself is. */
  readonly authorizationServer?: string
  /** PEM, of whoever is asked for tokens; empty when the system's authorities are trusted. */
  readonly issuerCertificateAuthority: string
  readonly clientID: string
  readonly idToken: string
  /** Empty when the issuer gave none, or refused the last one for good. */
  readonly refreshToken: string
  /** Milliseconds since the epoch, as the three below. */
  readonly signedInAtMs: number
  readonly expiresAtMs: number
  /** From then on a new ID token is asked for. Never after `expiresAtMs`. */
  readonly refreshAtMs: number
  /** When the last refresh failed, 0 when it did not; those who waited for it fail with it. */
  readonly refreshFailedAtMs: number
  /** Why it failed; empty when it did not. */
  readonly refreshFailure: string
}

export interface CachedLogin {
  readonly path: string
  readonly login: Login
}

export interface LoginChoice {
  /** Origin. Without it there must be logins at one portal only. */
  readonly portal?: string
  /** Without it the latest login at the portal counts. */
  readonly issuer?: string
}

/** A login is a few kilobytes; tokens are capped far below this by every gateway. */
const MAX_LOGIN_BYTES = 256 * 1024

/**
 * Where logins are kept unless a flag says otherwise: `$XDG_CACHE_HOME/postern` where that is set, else the place for
 * caches of the platform.
 *
 * @see XDG Base Directory Specification 0.8: a relative path is to be ignored
 */
export function defaultCacheDirectory(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const home = homeDirectory()
  const xdg = env['XDG_CACHE_HOME']
  if (xdg !== undefined && path.isAbsolute(xdg)) return path.join(xdg, 'postern')
  if (platform === 'darwin') return path.join(home, 'Library', 'Caches', 'postern')
  if (platform === 'win32')
    return path.join(env['LOCALAPPDATA'] ?? path.join(home, 'AppData', 'Local'), 'postern', 'Cache')
  return path.join(home, '.cache', 'postern')
}

/**
 * The origin of a portal as a person writes it; `https://` may be left out.
 *
 * @throws ClientError `BadArgument` for anything but `[https://]HOST[:PORT]`.
 */
export function parsePortal(text: string): string {
  const url = URL.parse(text.includes('://') ? text : `https://${text}`)
  if (url?.protocol !== 'https:' || url.host === '' || url.href !== `${url.origin}/`)
    throw new ClientError('BadArgument', `"${text}" is not a portal; write it as https://HOST or https://HOST:PORT`)
  return url.origin
}

/** Directory of the logins at one portal. Host names hold no character that a file system could refuse. */
export function portalDirectory(cacheDirectory: string, portal: string): string {
  return path.join(cacheDirectory, 'logins', new URL(portal).host.replaceAll(/[^a-z0-9.-]/g, '_'))
}

/**
 * The login that counts.
 *
 * @throws ClientError `NotSignedIn` when there is none, `BadArgument` when there are several portals to choose from,
 * `CacheUnsafe` when the file could have been read or written by others.
 */
export function findLogin(cacheDirectory: string, choice: LoginChoice): CachedLogin {
  const portal = choice.portal ?? onlyPortal(cacheDirectory)
  const logins = listLogins(cacheDirectory, portal).filter(
    ({ login }) => choice.issuer === undefined || login.issuer === choice.issuer,
  )
  const latest = logins.sort((one, other) => other.login.signedInAtMs - one.login.signedInAtMs)[0]
  if (latest !== undefined) return latest
  const where = choice.issuer === undefined ? portal : `${portal} with ${choice.issuer}`
  throw notSignedIn(portal, `you are not signed in to ${where}`)
}

/** All logins at a portal, in no order. Files that are damaged count as none: the next login replaces them. */
export function listLogins(cacheDirectory: string, portal: string): CachedLogin[] {
  const directory = portalDirectory(cacheDirectory, portal)
  return namesIn(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => readLogin(path.join(directory, name)))
    .filter((found) => found?.login.portal === portal)
    .filter((found) => found !== null)
}

/**
 * The login in a file, or null when there is none or the file is damaged.
 *
 * @throws ClientError `CacheUnsafe`.
 */
export function readLogin(file: string): CachedLogin | null {
  const text = readPrivateFile(file)
  if (text === null) return null
  try {
    const login: unknown = JSON.parse(text)
    return isLogin(login) ? { path: file, login } : null
  } catch {
    return null
  }
}

/** Paths of the files of all logins at all portals, damaged ones included. */
export function loginFiles(cacheDirectory: string): string[] {
  const directory = path.join(cacheDirectory, 'logins')
  return namesIn(directory).flatMap((name) =>
    namesIn(path.join(directory, name))
      .filter((file) => file.endsWith('.json'))
      .map((file) => path.join(directory, name, file)),
  )
}

function onlyPortal(cacheDirectory: string): string {
  const portals = new Set<string>()
  for (const file of loginFiles(cacheDirectory)) {
    const found = readLogin(file)
    if (found !== null) portals.add(found.login.portal)
  }
  const [portal] = portals
  if (portal === undefined) throw notSignedIn('https://HOST', 'you are not signed in anywhere')
  if (portals.size > 1)
    throw new ClientError(
      'BadArgument',
      `you are signed in to several portals; name one with --portal or POSTERN_PORTAL: ${[...portals].sort().join(', ')}`,
    )
  return portal
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory)
  } catch (error) {
    if (isAbsent(error)) return []
    throw explainFileError(directory, 'read', error)
  }
}

function readPrivateFile(file: string): string | null {
  let handle: number
  try {
    handle = fs.openSync(file, 'r')
  } catch (error) {
    if (isAbsent(error)) return null
    throw explainFileError(file, 'read', error)
  }
  try {
    const { mode, uid, size } = fs.fstatSync(handle)
    const self = process.geteuid?.()
    if (self !== undefined && uid !== self)
      throw new ClientError('CacheUnsafe', `${file} belongs to another account; remove it and sign in again`)
    if (self !== undefined && (mode & 0o077) !== 0)
      throw new ClientError('CacheUnsafe', `${file} is open to other accounts; run: chmod 600 '${file}'`)
    return size > MAX_LOGIN_BYTES ? null : fs.readFileSync(handle, 'utf8')
  } finally {
    fs.closeSync(handle)
  }
}

const FIELDS = {
  version: 'number',
  portal: 'string',
  portalCertificateAuthority: 'string',
  issuer: 'string',
  issuerCertificateAuthority: 'string',
  clientID: 'string',
  idToken: 'string',
  refreshToken: 'string',
  signedInAtMs: 'number',
  expiresAtMs: 'number',
  refreshAtMs: 'number',
  refreshFailedAtMs: 'number',
  refreshFailure: 'string',
} as const satisfies Record<Exclude<keyof Login, 'authorizationServer'>, 'string' | 'number'>

function isLogin(value: unknown): value is Login {
  if (typeof value !== 'object' || value === null) return false
  const fields = new Map<string, unknown>(Object.entries(value))
  return (
    fields.get('version') === 1 &&
    ['string', 'undefined'].includes(typeof fields.get('authorizationServer')) &&
    Object.entries(FIELDS).every(([name, type]) => typeof fields.get(name) === type)
  )
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
