import { ExpiringMap } from '../../identity/expiring-map.ts'
import type { IssuerClient } from './issuer-client.ts'
import { OAuthError } from './oauth-error.ts'
import { required, type Parameters } from './parameters.ts'
import { CODE_CHALLENGE, CODE_VERIFIER, isVerifierOf } from './proof-key.ts'

const SEALED = /^[\w-]{1,8192}$/
/** Visible characters, as RFC 6749 appendix A.17 has it. */
const TOKEN = /^[\x20-\x7e]{1,8192}$/

/** Most codes that are remembered to have been traded. */
const MAX_USED_CODES = 10_000

type Answer = Readonly<Record<string, string | number>>

/**
 * Trades what the command holds for tokens: its code, a refresh token, a code of a device. All that needs the client's
 * secret is asked of the issuer here.
 */
export class TokenEndpoint {
  readonly #client: IssuerClient
  readonly #redirectURI: string
  readonly #deviceAuthorization: boolean
  readonly #used = new ExpiringMap<true>(MAX_USED_CODES)

  /** `redirectURI` is the one that the issuer knows. */
  constructor(client: IssuerClient, options: { readonly redirectURI: string; readonly deviceAuthorization: boolean }) {
    this.#client = client
    this.#redirectURI = options.redirectURI
    this.#deviceAuthorization = options.deviceAuthorization
  }

  /** @throws OAuthError as RFC 6749 section 5.2 has it. */
  async tokens(form: Parameters): Promise<Answer> {
    this.#assertClient(form)
    const grant = form.get('grant_type')
    if (grant === 'authorization_code') return this.#tradeCode(form)
    if (grant === 'refresh_token') return this.#client.refresh(required(form, 'refresh_token', TOKEN))
    if (grant === 'urn:ietf:params:oauth:grant-type:device_code' && this.#deviceAuthorization)
      return this.#client.deviceTokens(
        required(form, 'device_code', TOKEN),
        required(form, 'code_verifier', CODE_VERIFIER),
      )
    throw new OAuthError('unsupported_grant_type', 'there is no such grant here')
  }

  /** @throws OAuthError */
  async revoke(form: Parameters): Promise<void> {
    this.#assertClient(form)
    await this.#client.revoke(required(form, 'token', TOKEN))
  }

  /** @throws OAuthError */
  async authorizeDevice(form: Parameters): Promise<Answer> {
    this.#assertClient(form)
    if (!this.#deviceAuthorization)
      throw new OAuthError('unauthorized_client', 'nobody may sign in with a code on another device')
    if (form.get('code_challenge_method') !== 'S256')
      throw new OAuthError('invalid_request', 'code_challenge_method has to be S256')
    return this.#client.authorizeDevice(required(form, 'code_challenge', CODE_CHALLENGE))
  }

  async #tradeCode(form: Parameters): Promise<Answer> {
    const sealed = required(form, 'code', SEALED)
    const verifier = required(form, 'code_verifier', CODE_VERIFIER)
    const { granted } = await this.#client.seals()
    const login = granted.open(sealed)
    const nowMs = Date.now()
    if (login === null || login.expiresAtMs <= nowMs)
      throw new OAuthError('invalid_grant', 'the code is too old, or none of this gateway')
    if (form.get('redirect_uri') !== login.redirectURI || !isVerifierOf(verifier, login.codeChallenge))
      throw new OAuthError('invalid_grant', 'the code was given to somebody else')
    if (this.#used.get(sealed, nowMs) === true) throw new OAuthError('invalid_grant', 'the code was used before')
    this.#used.set(sealed, true, { expiresAtMs: login.expiresAtMs, nowMs })
    const { code, codeVerifier, nonce } = login
    return this.#client.exchangeCode({ code, codeVerifier, nonce, redirectURI: this.#redirectURI })
  }

  #assertClient(form: Parameters): void {
    if (form.get('client_id') !== this.#client.id)
      throw new OAuthError('invalid_client', 'there is no such client here', { statusCode: 401 })
  }
}
