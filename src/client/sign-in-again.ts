import { rmSync } from 'node:fs'
import { hasBrowser, openBrowser } from './browser.ts'
import { notSignedIn, type ClientError } from './client-error.ts'
import { readLogin, readPrivateFile, type CachedLogin } from './login-cache.ts'
import { attemptPath, withLoginLock, writePrivateFile } from './login-cache-writer.ts'
import { DEFAULT_LOGIN_TIMEOUT_MS } from './login.ts'
import { loginAnew } from './login-anew.ts'

/** A login that failed is not tried again for this long, so that programs which retry open no browsers. */
const RETRY_AFTER_MS = 30_000

/** Those who wait for somebody else's sign-in wait as long as that may take, and then for what it asks of the network. */
const LOCK_TIMEOUT_MS = DEFAULT_LOGIN_TIMEOUT_MS + 60_000

export interface SignInAgainRequest {
  /** When the caller began to want a token: of those who wanted one at the same time, one asks the person. */
  readonly askedAtMs: number
  readonly cacheDirectory: string
}

/** The last time that a browser was opened for a login that had ended. */
interface Attempt {
  /** Milliseconds since the epoch, as the next. */
  readonly startedAtMs: number
  readonly failedAtMs: number
  readonly failure: string
}

/**
 * Signs a person in once more where a login has ended, with their browser and one line on stderr. Of many processes one
 * opens a browser, and the others share its outcome.
 *
 * @throws ClientError `NotSignedIn`, which `ended` is one of, when there is no browser, or when nobody signed in.
 */
export async function signInAgain(
  { path, login }: CachedLogin,
  ended: ClientError,
  { askedAtMs, cacheDirectory }: SignInAgainRequest,
): Promise<CachedLogin> {
  if (!hasBrowser(process.env, process.platform)) throw ended
  const fresh = (): CachedLogin | null => {
    const cached = readLogin(path)
    return cached !== null && Date.now() < cached.login.refreshAtMs ? cached : null
  }
  const act = async (): Promise<CachedLogin> => {
    const done = fresh()
    if (done !== null) return done
    const before = readAttempt(path)
    if (before !== null && sharesAttempt(before, askedAtMs, Date.now()))
      throw notSignedIn(
        login.portal,
        `your login at ${login.portal} has ended, and no new one came of it (${before.failure})`,
      )
    const startedAtMs = Date.now()
    saveAttempt(path, { startedAtMs, failedAtMs: startedAtMs, failure: 'it was broken off' })
    let presented = false
    try {
      await loginAnew({
        portal: login.portal,
        certificateAuthority: login.portalCertificateAuthority,
        issuer: login.issuer,
        cacheDirectory,
        flow: 'browser',
        timeoutMs: DEFAULT_LOGIN_TIMEOUT_MS,
        present: ({ address }) => {
          void present(login.portal, address, presented)
          presented = true
        },
        // The page in their browser tells them.
        explain: () => undefined,
      })
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error)
      saveAttempt(path, { startedAtMs, failedAtMs: Date.now(), failure })
      throw error
    }
    rmSync(attemptPath(path), { force: true })
    const kept = fresh()
    if (kept === null) throw ended
    return kept
  }
  return withLoginLock(path, act, { name: 'sign-in', timeoutMs: LOCK_TIMEOUT_MS, settled: fresh })
}

/** One line, also where the person is asked twice, unless no browser comes up that would show them the second address. */
async function present(portal: string, address: string, again: boolean): Promise<void> {
  const tell = (): void => {
    process.stderr.write(`postern: your login at ${portal} has ended; sign in at: ${address}\n`)
  }
  if (!again) tell()
  const failure = await openBrowser(address, process.platform)
  if (again && failure !== '') tell()
}

/** An attempt of later than now is of a clock that was set back since, and counts for nobody. */
function sharesAttempt({ startedAtMs, failedAtMs }: Attempt, askedAtMs: number, nowMs: number): boolean {
  if (startedAtMs > nowMs || failedAtMs > nowMs) return false
  return startedAtMs >= askedAtMs || failedAtMs > nowMs - RETRY_AFTER_MS
}

function saveAttempt(loginFile: string, attempt: Attempt): void {
  writePrivateFile(attemptPath(loginFile), `${JSON.stringify(attempt)}\n`)
}

/** Null when there was none; what cannot be read counts as none, since nothing is granted by it. */
function readAttempt(loginFile: string): Attempt | null {
  try {
    const attempt = JSON.parse(readPrivateFile(attemptPath(loginFile)) ?? 'null') as Partial<
      Record<keyof Attempt, unknown>
    >
    const { startedAtMs, failedAtMs, failure } = attempt
    return typeof startedAtMs === 'number' && typeof failedAtMs === 'number' && typeof failure === 'string'
      ? { startedAtMs, failedAtMs, failure }
      : null
  } catch {
    return null
  }
}
