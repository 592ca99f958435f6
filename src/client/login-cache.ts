import { homeDirectory } from '../document/home-directory.ts'
import { ClientError, explainFileError, noOrdinaryFile, notSignedIn } from './client-error.ts'

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
  /** Milliseconds since the epoch up to {@link LATEST_MS}, as the three below. */
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

/** A file in the place of a login that cannot be used. */
export interface UnusableFile {
  readonly path: string
  /** `CacheUnsafe` or `CacheUnusable`. */
  readonly error: ClientError
}

/** What a number of files hold; those that are damaged count as none. */
export interface ReadLogins {
  readonly logins: readonly CachedLogin[]
  readonly unusable: readonly UnusableFile[]
}

export interface LoginChoice {
  /** Origin. Without it there must be logins at one portal only. */
  readonly portal?: string
  /** Without it the latest login at the portal counts. */
  readonly issuer?: string
}

/** The end of the year 9999 in milliseconds since the epoch, the last that RFC 3339 has four digits for. */
export const LATEST_MS = 253_402_300_799_999

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
 * The login that counts. A file that cannot be used counts too where the login that is meant may be in it.
 *
 * @throws ClientError `NotSignedIn` when there is none, `BadArgument` when there are several portals to choose from,
 * `CacheUnsafe` when the file could have been read or written by others, `CacheUnusable` when it is no ordinary file.
 */
export function findLogin(cacheDirectory: string, choice: LoginChoice): CachedLogin {
  const portal = choice.portal ?? onlyPortal(cacheDirectory)
  const { logins, unusable } = listLogins(cacheDirectory, portal)
  const latest = logins
    .filter(({ login }) => choice.issuer === undefined || login.issuer === choice.issuer)
    .sort((one, other) => other.login.signedInAtMs - one.login.signedInAtMs)[0]
  const [unknown] = unusable
  if (unknown !== undefined && (latest === undefined || choice.issuer === undefined)) throw unknown.error
  if (latest !== undefined) return latest
  throw noLogin(portal, choice.issuer)
}

/** `NotSignedIn`, at a portal, with an issuer where one is named. */
export function noLogin(portal: string, issuer: string | undefined): ClientError {
  const where = issuer === undefined ? portal : `${portal} with ${issuer}`
  return notSignedIn(portal, `you are not signed in to ${where}`)
}

/** All logins at a portal, in no order. */
export function listLogins(cacheDirectory: string, portal: string): ReadLogins {
  const { logins, unusable } = readLogins(filesIn(portalDirectory(cacheDirectory, portal)))
  return { logins: logins.filter(({ login }) => login.portal === portal), unusable }
}

/** The logins in these files, in no order. */
export function readLogins(files: readonly string[]): ReadLogins {
  const logins: CachedLogin[] = []
  const unusable: UnusableFile[] = []
  for (const file of files) {
    try {
      const login = readLogin(file)
      if (login !== null) logins.push(login)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      unusable.push({ path: file, error })
    }
  }
  return { logins, unusable }
}

/**
 * The login in a file, or null when there is none or the file is damaged.
 *
 * @throws ClientError `CacheUnsafe`, `CacheUnusable`.
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
  return namesIn(directory).flatMap((name) => filesIn(path.join(directory, name)))
}

/**
 * The portal of all logins that there are.
 *
 * @throws ClientError `NotSignedIn`, `BadArgument` when there are several, `CacheUnsafe` or `CacheUnusable` when a file that
 * cannot be used may be of another.
 */
export function onlyPortal(cacheDirectory: string): string {
  const { logins, unusable } = readLogins(loginFiles(cacheDirectory))
  const portals = new Set(logins.map(({ login }) => login.portal))
  const directories = new Set(logins.map((login) => path.dirname(login.path)))
  const elsewhere = unusable.find((file) => !directories.has(path.dirname(file.path)))
  if (elsewhere !== undefined) throw elsewhere.error
  const [portal] = portals
  if (portal === undefined) throw notSignedIn('https://HOST', 'you are not signed in anywhere')
  if (portals.size > 1)
    throw new ClientError(
      'BadArgument',
      `you are signed in to several portals; name one with --portal or POSTERN_PORTAL: ${[...portals].sort().join(', ')}`,
    )
  return portal
}

function filesIn(directory: string): string[] {
  return namesIn(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => path.join(directory, name))
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory)
  } catch (error) {
    if (isAbsent(error)) return []
    throw explainFileError(directory, 'read', error)
  }
}

/**
 * The text of a file that nobody else can read or write; null when there is none, or far too much of it.
 *
 * @throws ClientError `CacheUnsafe`, `CacheUnusable`.
 */
export function readPrivateFile(file: string): string | null {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants
  let handle: number
  try {
    // A pipe would be waited for, and for ever.
    handle = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isAbsent(error)) return null
    throw codeOf(error) === 'ELOOP' ? noOrdinaryFile(file) : explainFileError(file, 'read', error)
  }
  try {
    const stats = fs.fstatSync(handle)
    if (!stats.isFile()) throw noOrdinaryFile(file)
    const self = process.geteuid?.()
    if (self !== undefined && stats.uid !== self)
      throw new ClientError('CacheUnsafe', `${file} belongs to another account; remove it and sign in again`)
    if (self !== undefined && (stats.mode & 0o077) !== 0)
      throw new ClientError('CacheUnsafe', `${file} is open to other accounts; run: chmod 600 '${file}'`)
    return stats.size > MAX_LOGIN_BYTES ? null : fs.readFileSync(handle, 'utf8')
  } catch (error) {
    throw explainFileError(file, 'read', error)
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
    Object.entries(FIELDS).every(([name, type]) => {
      const field = fields.get(name)
      return type === 'number' ? isTime(field) : typeof field === type
    })
  )
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= LATEST_MS
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
