import { StatusError, badRequest } from '../../kube/status.ts'
import { ExpiringMap } from '../expiring-map.ts'
import type { LogoutToken } from '../logout-token.ts'
import { withoutAdvice } from '../refusal.ts'
import type { Login } from './login.ts'
import type { Logins } from './logins.ts'

/** Most logout tokens that are remembered, each until it expires. Only an issuer can make one. */
const MAX_USED_TOKENS = 10_000

export interface BackChannelLogoutOptions {
  readonly logins: Logins
  /** Finds out whether a logout token holds. @throws StatusError 400, 401, 503. */
  readonly verify: (token: string) => Promise<LogoutToken>
  /** Milliseconds since the epoch. Default the system's clock. */
  readonly clock?: () => number
}

/** What an issuer ended, and the logins that ended with it. */
export interface EndedLogins {
  /** URL. */
  readonly issuer: string
  readonly logins: readonly Login[]
}

/**
 * Ends logins as their issuer says.
 *
 * @see OpenID Connect Back-Channel Logout 1.0
 */
export class BackChannelLogout {
  readonly #logins: Logins
  readonly #verify: BackChannelLogoutOptions['verify']
  readonly #clock: () => number
  /** By issuer and `jti`. */
  readonly #used = new ExpiringMap<true>(MAX_USED_TOKENS)

  constructor({ logins, verify, clock = Date.now }: BackChannelLogoutOptions) {
    this.#logins = logins
    this.#verify = verify
    this.#clock = clock
  }

  /**
   * Revokes the logins of the session, or of all sessions of the person, that the token names; none when none is known.
   *
   * @throws StatusError 400 for a token that does not hold or was used; 503 when it cannot be verified now, or when the logins
   * are revoked and that cannot be written down.
   */
  async end(token: string): Promise<EndedLogins> {
    const ended = await this.#verified(token)
    const key = JSON.stringify([ended.issuer, ended.jti])
    const nowMs = this.#clock()
    if (this.#used.get(key, nowMs) !== undefined) throw badRequest('the logout token was used before')
    this.#used.set(key, true, { expiresAtMs: ended.expiresAtMs, nowMs })
    return { issuer: ended.issuer, logins: await this.#logins.endAtIssuer(ended) }
  }

  async #verified(token: string): Promise<LogoutToken> {
    try {
      return await this.#verify(token)
    } catch (error) {
      // Whoever sent it has nothing to sign in with.
      if (error instanceof StatusError && error.status.code === 401)
        throw badRequest(withoutAdvice(error.message), { cause: error })
      throw error
    }
  }
}
