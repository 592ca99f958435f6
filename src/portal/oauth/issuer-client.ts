import { ClientSecret } from '../../identity/client-secret.ts'
import type { ConfidentialClient, IssuerOptions } from '../../identity/issuer-options.ts'
import { postForm, type FormAnswer } from '../../identity/https-json.ts'
import { claimOf, parseToken } from '../../identity/unverified-token.ts'
import { IssuerMetadataSource, type IssuerMetadata } from './issuer-metadata.ts'
import { LoginSealsSource, type LoginSeals } from './login-seals.ts'
import { OAuthError, temporarilyUnavailable } from './oauth-error.ts'

/** Most questions to one issuer at a time: anybody may send a refresh token that is none. */
const MAX_UNDER_WAY = 64

/** Refusals that mean the connector's own client, and that nobody who signs in can mend. */
const OPERATORS_ERRORS: readonly unknown[] = ['invalid_client', 'unauthorized_client', 'unsupported_grant_type']

/** What of an issuer's answers goes on to people's machines. */
const TOKEN_FIELDS = ['access_token', 'token_type', 'expires_in', 'id_token', 'refresh_token', 'scope'] as const
const DEVICE_FIELDS = [
  ...['device_code', 'user_code', 'verification_uri'],
  ...['verification_uri_complete', 'expires_in', 'interval'],
] as const

/** What of our questions nobody may read in what is said of them. */
const SECRET_FIELDS = ['code', 'code_verifier', 'refresh_token', 'device_code', 'token'] as const

/** What is shorter is no secret, and may stand in any word. */
const MIN_REDACTED_LENGTH = 8

type Answer = Readonly<Record<string, string | number>>

/** A client of one issuer that proves itself with a secret. Its calls throw OAuthError. */
export class IssuerClient {
  readonly id: string
  readonly scopes: readonly string[]
  readonly authorizationParameters: ConfidentialClient['authorizationParameters']
  readonly #issuer: IssuerOptions
  readonly #secret: ClientSecret
  readonly #seals: LoginSealsSource
  readonly #authMethod: ConfidentialClient['tokenEndpointAuthMethod']
  readonly #metadata: IssuerMetadataSource
  #underWay = 0

  constructor(issuer: IssuerOptions, client: NonNullable<IssuerOptions['client']>, confidential: ConfidentialClient) {
    this.id = client.id
    this.scopes = client.scopes
    this.authorizationParameters = confidential.authorizationParameters
    this.#issuer = issuer
    this.#secret = new ClientSecret(confidential.secret)
    this.#seals = new LoginSealsSource(JSON.stringify([issuer.url, client.id]))
    this.#authMethod = confidential.tokenEndpointAuthMethod
    this.#metadata = new IssuerMetadataSource(issuer)
  }

  metadata(): Promise<IssuerMetadata> {
    return this.#metadata.current()
  }

  /** What logins under way are sealed with. */
  async seals(): Promise<LoginSeals> {
    return this.#seals.of(await this.#currentSecret())
  }

  /** Trades the issuer's code for tokens. Their ID token is for this client, of this issuer, and has the nonce. */
  async exchangeCode(login: {
    readonly code: string
    readonly redirectURI: string
    readonly codeVerifier: string
    readonly nonce: string
  }): Promise<Answer> {
    const answer = await this.#tokens({
      grant_type: 'authorization_code',
      code: login.code,
      redirect_uri: login.redirectURI,
      code_verifier: login.codeVerifier,
    })
    this.#assertOwn(answer, login.nonce)
    return answer
  }

  /** Their ID token, where there is one, is for this client and of this issuer. */
  async refresh(refreshToken: string): Promise<Answer> {
    const answer = await this.#tokens({ grant_type: 'refresh_token', refresh_token: refreshToken })
    if (answer['id_token'] !== undefined) this.#assertOwn(answer)
    return answer
  }

  /**
   * Asks once whether the person has signed in with the code that their device shows (RFC 8628 section 3.4). The proof key is
   * the device's own: there is no redirect here that another could have answered.
   */
  async deviceTokens(deviceCode: string, codeVerifier: string): Promise<Answer> {
    const answer = await this.#tokens({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: deviceCode,
      code_verifier: codeVerifier,
    })
    this.#assertOwn(answer)
    return answer
  }

  /** `codeChallenge` is for issuers that hold devices to RFC 7636 too, as Dex and Keycloak do. */
  async authorizeDevice(codeChallenge: string): Promise<Answer> {
    const { deviceAuthorizationEndpoint } = await this.metadata()
    if (deviceAuthorizationEndpoint === undefined)
      throw new OAuthError('invalid_request', 'the identity provider offers no device authorization')
    const form = { scope: this.scopes.join(' '), code_challenge: codeChallenge, code_challenge_method: 'S256' }
    return picked(await this.#post(deviceAuthorizationEndpoint, form), DEVICE_FIELDS)
  }

  /** Revokes a refresh token (RFC 7009). */
  async revoke(refreshToken: string): Promise<void> {
    const { revocationEndpoint } = await this.metadata()
    if (revocationEndpoint === undefined)
      throw new OAuthError('unsupported_token_type', 'the identity provider offers no revocation')
    await this.#post(revocationEndpoint, { token: refreshToken, token_type_hint: 'refresh_token' })
  }

  async #tokens(form: Readonly<Record<string, string>>): Promise<Answer> {
    const { tokenEndpoint } = await this.metadata()
    return picked(await this.#post(tokenEndpoint, form), TOKEN_FIELDS)
  }

  async #post(endpoint: URL, form: Readonly<Record<string, string>>): Promise<unknown> {
    if (this.#underWay >= MAX_UNDER_WAY) throw temporarilyUnavailable('too many people sign in at once')
    this.#underWay += 1
    try {
      const secret = await this.#currentSecret()
      const answer = await this.#ask(endpoint, form, secret)
      if (answer.statusCode === 200) return answer.value
      throw this.#refusal(endpoint, answer, [secret, ...SECRET_FIELDS.map((name) => form[name] ?? '')])
    } finally {
      this.#underWay -= 1
    }
  }

  async #ask(endpoint: URL, form: Readonly<Record<string, string>>, secret: string): Promise<FormAnswer> {
    const method = this.#authMethod ?? (await this.metadata()).authMethod
    const { certificateAuthority } = this.#issuer
    const inForm = { client_id: this.id, client_secret: secret }
    try {
      return await postForm(endpoint, {
        certificateAuthority,
        form: new URLSearchParams({ ...form, ...(method === 'client_secret_post' && inForm) }),
        authorization: method === 'client_secret_basic' ? basic(this.id, secret) : '',
      })
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      throw temporarilyUnavailable('the gateway cannot reach the identity provider', cause)
    }
  }

  /** @param secrets what an issuer might repeat, and nobody may read. */
  #refusal(endpoint: URL, { statusCode, value }: FormAnswer, secrets: readonly string[]): OAuthError {
    const { error, error_description: said } = (value ?? {}) as Readonly<Record<string, unknown>>
    if (typeof error !== 'string' || statusCode >= 500 || statusCode === 429) {
      const cause = new Error(`${endpoint.href} answers ${statusCode}`)
      return temporarilyUnavailable('the identity provider does not answer as it should', cause)
    }
    const refusal = new OAuthError(redacted(error, secrets), redacted(typeof said === 'string' ? said : '', secrets))
    if (!OPERATORS_ERRORS.includes(error)) return refusal
    const cause = new Error(`${endpoint.href} refuses the client "${this.id}": ${refusal.message}`)
    return new OAuthError('server_error', `the identity provider refuses the client of the gateway, ${refusal.error}`, {
      cause,
    })
  }

  /**
   * Came from the token endpoint itself, over TLS, so that its signature need not be looked at here (OpenID Connect Core
   * 1.0 section 3.1.3.7). The gateway verifies it when it is shown.
   */
  #assertOwn({ id_token: idToken }: Answer, nonce?: string): void {
    const claims = claimsOf(idToken)
    const audience = [claimOf(claims, 'aud')].flat()
    if (claimOf(claims, 'iss') !== this.#issuer.url || !audience.includes(this.id)) {
      const cause = new Error(`${this.#issuer.url} gave an ID token of another issuer, or for another client`)
      throw new OAuthError('server_error', 'the identity provider gave no ID token for this client', { cause })
    }
    if (nonce !== undefined && claimOf(claims, 'nonce') !== nonce)
      throw new OAuthError('invalid_grant', 'the ID token is not of this login')
  }

  async #currentSecret(): Promise<string> {
    try {
      return await this.#secret.current()
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      throw temporarilyUnavailable('the gateway has no secret for the identity provider', cause)
    }
  }
}

function claimsOf(idToken: unknown): Readonly<Record<string, unknown>> {
  try {
    return parseToken(String(idToken)).unverifiedClaims
  } catch {
    return {}
  }
}

/** Fields by name, and no others, in the types that they may have. */
function picked(value: unknown, names: readonly string[]): Answer {
  const fields = new Map<string, unknown>(Object.entries(value ?? {}))
  const answer: Record<string, string | number> = {}
  for (const name of names) {
    const field = fields.get(name)
    if (typeof field === 'string' || typeof field === 'number') answer[name] = field
  }
  return answer
}

/** Both are encoded as in a form first; what needs no encoding is left be, since not every issuer decodes (RFC 6749 section 2.3.1). */
function basic(id: string, secret: string): string {
  const encoded = [id, secret].map((text) => new URLSearchParams({ '': text }).toString().slice(1)).join(':')
  return `Basic ${Buffer.from(encoded).toString('base64')}`
}

function redacted(text: string, secrets: readonly string[]): string {
  return secrets
    .filter(({ length }) => length >= MIN_REDACTED_LENGTH)
    .reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text)
}
