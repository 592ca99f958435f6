import { loginFiles, readLogin, type Login } from './login-cache.ts'

/** What is known of a login without asking anybody. */
export interface LoginStatus {
  readonly file: string
  readonly portal: string
  readonly issuer: string
  readonly signedInAt: string
  /** End of the ID token, RFC 3339. */
  readonly expiresAt: string
  /** `valid`: its token is good now. `renewable`: the next call gets a new one. `ended`: only a new login helps. */
  readonly state: 'valid' | 'renewable' | 'ended'
  /** What is wrong, with what to do; empty when nothing is. */
  readonly problem: string
}

/** A file in the place of a login that cannot be used. */
export interface UnusableLogin {
  readonly file: string
  readonly problem: string
}

/** All logins at all portals, the latest of each portal first, and the files that cannot be used. */
export function loginStatuses(
  cacheDirectory: string,
  nowMs: number,
): { readonly logins: readonly LoginStatus[]; readonly unusable: readonly UnusableLogin[] } {
  const found: { readonly login: Login; readonly file: string }[] = []
  const unusable: UnusableLogin[] = []
  for (const file of loginFiles(cacheDirectory)) {
    try {
      const cached = readLogin(file)
      if (cached === null) unusable.push({ file, problem: 'it is damaged; sign in again, or remove it' })
      else found.push({ login: cached.login, file })
    } catch (error) {
      unusable.push({ file, problem: error instanceof Error ? error.message : String(error) })
    }
  }
  found.sort(
    (one, other) =>
      one.login.portal.localeCompare(other.login.portal) || other.login.signedInAtMs - one.login.signedInAtMs,
  )
  return { logins: found.map(({ login, file }) => statusOf(login, file, nowMs)), unusable }
}

function statusOf(login: Login, file: string, nowMs: number): LoginStatus {
  const holds = nowMs < login.expiresAtMs
  const state = holds ? 'valid' : login.refreshToken === '' ? 'ended' : 'renewable'
  const failed = login.refreshFailure === '' ? '' : `the last renewal failed: ${login.refreshFailure}`
  return {
    file,
    portal: login.portal,
    issuer: login.issuer,
    signedInAt: new Date(login.signedInAtMs).toISOString(),
    expiresAt: new Date(login.expiresAtMs).toISOString(),
    state,
    problem: state === 'ended' ? `it has ended; run: postern client login --portal ${login.portal}` : failed,
  }
}
