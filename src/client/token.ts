import { renderExecCredential } from './exec-credential.ts'
import { findLogin, type CachedLogin, type LoginChoice } from './login-cache.ts'

export interface TokenRequest extends LoginChoice {
  readonly cacheDirectory: string
}

/**
 * The answer of `postern client token`: an ExecCredential with the ID token of the login that counts.
 *
 * Never opens a browser and never reads from a terminal. While the token is fresh nothing is loaded or asked.
 *
 * @throws ClientError, `NotSignedIn` above all.
 */
export async function execCredential(request: TokenRequest, execInfo: string | undefined): Promise<string> {
  const { login } = await freshLogin(request)
  return renderExecCredential({ token: login.idToken, expiresAtMs: login.expiresAtMs }, execInfo)
}

/** The login that counts, refreshed when its ID token is about to end. */
export async function freshLogin(request: TokenRequest): Promise<CachedLogin> {
  const nowMs = Date.now()
  const cached = findLogin(request.cacheDirectory, request)
  if (nowMs < cached.login.refreshAtMs) return cached
  const { refreshLogin } = await import('./refresh.ts')
  return refreshLogin(cached, nowMs)
}
