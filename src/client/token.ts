import { ClientError } from './client-error.ts'
import { readExecInfo, renderExecCredential } from './exec-credential.ts'
import { findLogin, type CachedLogin, type LoginChoice } from './login-cache.ts'

export interface TokenRequest extends LoginChoice {
  readonly cacheDirectory: string
}

/**
 * The answer of `postern client token`: an ExecCredential with the ID token of the login that counts.
 *
 * While the token is fresh nothing is loaded or asked. A login that has ended is made anew in the person's browser, if
 * kubectl says in `execInfo`, the value of KUBERNETES_EXEC_INFO, that somebody is there. Never reads from a terminal.
 *
 * @throws ClientError, `NotSignedIn` above all.
 */
export async function execCredential(request: TokenRequest, execInfo: string | undefined): Promise<string> {
  const nowMs = Date.now()
  const info = readExecInfo(execInfo)
  const found = findLogin(request.cacheDirectory, request)
  const { login } = await refreshed(found, nowMs).catch(async (error: unknown) => {
    if (!info.interactive || !(error instanceof ClientError) || error.code !== 'NotSignedIn') throw error
    const { signInAgain } = await import('./sign-in-again.ts')
    return signInAgain(found, error, { askedAtMs: nowMs, cacheDirectory: request.cacheDirectory })
  })
  return renderExecCredential({ token: login.idToken, expiresAtMs: login.expiresAtMs }, info)
}

/** The login that counts, refreshed when its ID token is about to end. */
export async function freshLogin(request: TokenRequest): Promise<CachedLogin> {
  const nowMs = Date.now()
  return refreshed(findLogin(request.cacheDirectory, request), nowMs)
}

async function refreshed(cached: CachedLogin, nowMs: number): Promise<CachedLogin> {
  if (nowMs < cached.login.refreshAtMs) return cached
  const { refreshLogin } = await import('./refresh.ts')
  return refreshLogin(cached, nowMs)
}
