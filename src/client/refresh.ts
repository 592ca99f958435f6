import { ClientError, notSignedIn, type ClientErrorCode } from './client-error.ts'
import { readIdToken } from './id-token.ts'
import { LATEST_MS, readLogin, type CachedLogin, type Login } from './login-cache.ts'
import { LOGIN_LOCK, makeRoom, withLoginLock, type LoginRoom } from './login-cache-writer.ts'

/** An ID token is renewed this long before its end, so that none ends on its way to the gateway. */
const REFRESH_BEFORE_EXPIRY_MS = 60_000

/** While the token still holds, an issuer that failed is left alone for this long, so that nobody has to wait for it. */
const REFRESH_RETRY_MS = 10_000

/** The times of a login whose ID token was received at `nowMs`, by the clock of this machine: of a short-lived token the last quarter is left unused. */
export function tokenTimes(idToken: string, nowMs: number): Pick<Login, 'expiresAtMs' | 'refreshAtMs'> {
  const claims = readIdToken(idToken)
  // Where the clock of this machine is behind, the token ends before this clock reaches its end.
  const expiresAtMs = Math.max(0, Math.min(claims.expiresAtMs, nowMs + claims.lifetimeMs, LATEST_MS))
  const marginMs = Math.min(REFRESH_BEFORE_EXPIRY_MS, Math.max(0, expiresAtMs - nowMs) / 4)
  return { expiresAtMs, refreshAtMs: Math.floor(expiresAtMs - marginMs) }
}

/**
 * A login with an ID token that is fresh: the one given, or one that another process got in the meantime, or a new one.
 *
 * Of many processes one asks the issuer, and the others share its outcome. `askedAtMs` is when the caller began to want
 * a token: a refresh that failed since then counts for the caller too. A token that still holds outlives a failure.
 *
 * A refresh token may be good for one use only, so nothing is asked while the answer could not be kept. Where it cannot be
 * kept all the same, it is good for this call, and a line on stderr says so.
 *
 * @throws ClientError `NotSignedIn` when only a new login helps, `Unreachable` and others when trying again may.
 */
export async function refreshLogin(known: CachedLogin, askedAtMs: number): Promise<CachedLogin> {
  const { path, login } = known
  const act = (): CachedLogin | Promise<CachedLogin> => {
    const cached = readLogin(path)
    if (cached === null) throw notSignedIn(login.portal, `you have signed out of ${login.portal}`)
    const nowMs = Date.now()
    if (nowMs < cached.login.refreshAtMs) return cached
    if (cached.login.refreshToken === '') return usableOr(cached, ended(cached.login))
    if (sharesFailure(cached.login, askedAtMs, nowMs))
      return usableOr(cached, new ClientError('Unreachable', cached.login.refreshFailure))
    return renew(cached)
  }
  const settled = (): CachedLogin | null => {
    const cached = readLogin(path)
    return cached !== null && Date.now() < cached.login.refreshAtMs ? cached : null
  }
  try {
    return await withLoginLock(path, act, { ...LOGIN_LOCK, settled })
  } catch (error) {
    if (!(error instanceof ClientError) || !UNASKED.has(error.code)) throw error
    return usableOr(known, error)
  }
}

/** The cache was in the way, so that no issuer was asked. */
const UNASKED: ReadonlySet<ClientErrorCode> = new Set(['CacheBusy', 'CacheUnusable'])

/** For whoever has the lock. */
async function renew(cached: CachedLogin): Promise<CachedLogin> {
  const { path, login } = cached
  const room = makeRoom(cached)
  let refreshed: Login
  try {
    refreshed = { ...login, ...(await requestTokens(login)) }
  } catch (error) {
    if (!(error instanceof ClientError)) {
      room.giveBack()
      throw error
    }
    // Without it the next call asks once more.
    unsaved(room, { ...login, ...afterFailure(error) })
    return usableOr(cached, error.code === 'LoginRefused' ? ended(login, error) : error)
  }
  const failure = unsaved(room, refreshed)
  if (failure !== '') process.stderr.write(`postern: your login was renewed for this call only: ${failure}\n`)
  return { path, login: refreshed }
}

/** Why a login cannot be kept; empty when it is. */
function unsaved(room: LoginRoom, login: Login): string {
  try {
    room.save(login)
    return ''
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return error.message
  }
}

/** A failure of later than now is of a clock that was set back since, and counts for nobody. */
function sharesFailure({ refreshFailedAtMs, expiresAtMs }: Login, askedAtMs: number, nowMs: number): boolean {
  if (refreshFailedAtMs > nowMs) return false
  return refreshFailedAtMs >= askedAtMs || (nowMs < expiresAtMs && refreshFailedAtMs > nowMs - REFRESH_RETRY_MS)
}

/** What changes in a login: tokens, their times, and that no failure is left. */
async function requestTokens(login: Login): Promise<Partial<Login>> {
  // Not for those who wait for somebody else's refresh.
  const { discoverIssuer } = await import('./issuer.ts')
  const issuer = await discoverIssuer({
    url: login.issuer,
    clientID: login.clientID,
    authorizationServer: login.authorizationServer ?? '',
    certificateAuthority: login.issuerCertificateAuthority,
  })
  const tokens = await issuer.refresh(login.refreshToken)
  if (readIdToken(tokens.idToken).subject !== readIdToken(login.idToken).subject)
    throw new ClientError('LoginRefused', 'the identity provider answered the refresh for somebody else')
  return {
    idToken: tokens.idToken,
    // Without rotation the answer holds no new one, and the old one stays good (RFC 6749 section 6).
    refreshToken: tokens.refreshToken === '' ? login.refreshToken : tokens.refreshToken,
    ...tokenTimes(tokens.idToken, Date.now()),
    refreshFailedAtMs: 0,
    refreshFailure: '',
  }
}

/** A refused refresh token is dropped, so that nobody asks with it again. */
function afterFailure(error: ClientError): Partial<Login> {
  if (error.code === 'LoginRefused') return { refreshToken: '' }
  return { refreshFailedAtMs: Date.now(), refreshFailure: error.message }
}

function usableOr(cached: CachedLogin, error: ClientError): CachedLogin {
  if (Date.now() < cached.login.expiresAtMs) return cached
  throw error
}

function ended(login: Login, cause?: ClientError): ClientError {
  const why = cause === undefined ? '' : ` (${cause.message})`
  return notSignedIn(login.portal, `your login at ${login.portal} has ended${why}`)
}
