import { ClientError, notSignedIn } from './client-error.ts'
import { readIdToken } from './id-token.ts'
import { readLogin, type CachedLogin, type Login } from './login-cache.ts'
import { LOGIN_LOCK, saveLogin, withLoginLock } from './login-cache-writer.ts'

/** An ID token is renewed this long before its end, so that none ends on its way to the gateway. */
const REFRESH_BEFORE_EXPIRY_MS = 60_000

/** While the token still holds, an issuer that failed is left alone for this long, so that nobody has to wait for it. */
const REFRESH_RETRY_MS = 10_000

/** The times of a login whose ID token was received at `nowMs`, by the clock of this machine: of a short-lived token the last quarter is left unused. */
export function tokenTimes(idToken: string, nowMs: number): Pick<Login, 'expiresAtMs' | 'refreshAtMs'> {
  const claims = readIdToken(idToken)
  // Where the clock of this machine is behind, the token ends before this clock reaches its end.
  const expiresAtMs = Math.min(claims.expiresAtMs, nowMs + claims.lifetimeMs)
  const marginMs = Math.min(REFRESH_BEFORE_EXPIRY_MS, Math.max(0, expiresAtMs - nowMs) / 4)
  return { expiresAtMs, refreshAtMs: Math.floor(expiresAtMs - marginMs) }
}

/**
 * A login with an ID token that is fresh: the one given, or one that another process got in the meantime, or a new one.
 *
 * Of many processes one asks the issuer, and the others share its outcome. `askedAtMs` is when the caller began to want
 * a token: a refresh that failed since then counts for the caller too. A token that still holds outlives a failure.
 *
 * @throws ClientError `NotSignedIn` when only a new login helps, `Unreachable` and others when trying again may.
 */
export async function refreshLogin({ path, login }: CachedLogin, askedAtMs: number): Promise<CachedLogin> {
  const act = async (): Promise<CachedLogin> => {
    const cached = readLogin(path)
    if (cached === null) throw notSignedIn(login.portal, `you have signed out of ${login.portal}`)
    const nowMs = Date.now()
    if (nowMs < cached.login.refreshAtMs) return cached
    if (cached.login.refreshToken === '') return usableOr(cached, ended(cached.login))
    if (sharesFailure(cached.login, askedAtMs, nowMs))
      return usableOr(cached, new ClientError('Unreachable', cached.login.refreshFailure))
    try {
      const refreshed = { path, login: { ...cached.login, ...(await requestTokens(cached.login)) } }
      saveLogin(refreshed)
      return refreshed
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      saveLogin({ path, login: { ...cached.login, ...afterFailure(error) } })
      return usableOr(cached, error.code === 'LoginRefused' ? ended(cached.login, error) : error)
    }
  }
  return withLoginLock(path, act, {
    ...LOGIN_LOCK,
    settled: () => {
      const cached = readLogin(path)
      return cached !== null && Date.now() < cached.login.refreshAtMs ? cached : null
    },
  })
}

function sharesFailure({ refreshFailedAtMs, expiresAtMs }: Login, askedAtMs: number, nowMs: number): boolean {
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
