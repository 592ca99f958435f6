import type { Secret } from '../document/secret.ts'
import { fetchDiscovery } from './discovery.ts'
import { fetchJson } from './https-json.ts'
import type { IssuerOptions } from './issuer-options.ts'

/** How long before its end a token is no longer used, and how long one is used at most, in milliseconds. */
const RENEW_BEFORE_MS = 60_000
const MAX_AGE_MS = 3600_000

export interface ClientCredentialsOptions {
  readonly clientID: string
  readonly clientSecret: Secret
  readonly scope: string
}

/** The connector's own access token from an issuer, by the client credentials grant (RFC 6749 section 4.4). */
export class ClientCredentials {
  readonly #issuer: IssuerOptions
  readonly #options: ClientCredentialsOptions
  readonly #clock: () => number
  #token = ''
  #usableUntilMs = 0
  #asking: Promise<string> | undefined

  constructor(issuer: IssuerOptions, options: ClientCredentialsOptions, clock: () => number) {
    this.#issuer = issuer
    this.#options = options
    this.#clock = clock
  }

  /** @throws Error for the operator when the issuer gives none. */
  token(signal: AbortSignal): Promise<string> {
    if (this.#clock() < this.#usableUntilMs) return Promise.resolve(this.#token)
    this.#asking ??= this.#ask(signal).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /** Whoever was shown the token did not take it. */
  forget(): void {
    this.#usableUntilMs = 0
  }

  async #ask(signal: AbortSignal): Promise<string> {
    const { tokenUrl } = await fetchDiscovery(this.#issuer, signal)
    if (tokenUrl === undefined) throw new Error(`${this.#issuer.url} names no token_endpoint with https`)
    const { clientID, clientSecret, scope } = this.#options
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientID,
      client_secret: clientSecret.reveal(),
      scope,
    })
    const { certificateAuthority } = this.#issuer
    const { value } = await fetchJson(tokenUrl, { certificateAuthority, signal, form })
    const { access_token: token, expires_in: seconds = 0 } = value as Readonly<Record<string, unknown>>
    if (typeof token !== 'string' || token === '') throw new Error(`${tokenUrl.href} gives no access token`)
    const ageMs = Number.isFinite(seconds) ? Number(seconds) * 1000 - RENEW_BEFORE_MS : 0
    this.#token = token
    this.#usableUntilMs = this.#clock() + Math.min(ageMs, MAX_AGE_MS)
    return token
  }
}
