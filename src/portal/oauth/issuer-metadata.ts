import { fetchDiscovery, httpsUrl } from '../../identity/discovery.ts'
import type { ClientAuthMethod, IssuerOptions } from '../../identity/issuer-options.ts'
import { temporarilyUnavailable } from './oauth-error.ts'

/** How long an issuer's metadata is kept, and for how long one that cannot be reached is left alone, in milliseconds. */
const MAX_AGE_MS = 10 * 60_000
const RETRY_AFTER_MS = 5000
const TIMEOUT_MS = 10_000

/** What an issuer tells of itself, as far as signing in needs it. */
export interface IssuerMetadata {
  readonly authorizationEndpoint: URL
  readonly tokenEndpoint: URL
  /** Undefined where it offers none. */
  readonly revocationEndpoint: URL | undefined
  readonly deviceAuthorizationEndpoint: URL | undefined
  readonly endSessionEndpoint: URL | undefined
  /** How clients prove themselves there, where it lets the document choose none. */
  readonly authMethod: ClientAuthMethod
  /** Whether each of its answers says whose it is (RFC 9207). */
  readonly namesItself: boolean
  /** Empty when it does not say. */
  readonly signingAlgorithms: readonly string[]
}

/** The metadata of an issuer, asked for when it is needed and kept for a while. Requests at once share one question. */
export class IssuerMetadataSource {
  readonly #issuer: IssuerOptions
  #asked: Promise<IssuerMetadata> | null = null
  #goodUntilMs = -Infinity

  constructor(issuer: IssuerOptions) {
    this.#issuer = issuer
  }

  /** @throws OAuthError `temporarily_unavailable` when it cannot be reached, or has no metadata that can be used. */
  current(): Promise<IssuerMetadata> {
    if (this.#asked !== null && Date.now() < this.#goodUntilMs) return this.#asked
    this.#goodUntilMs = Date.now() + MAX_AGE_MS
    this.#asked = this.#ask().catch((error: unknown) => {
      this.#goodUntilMs = Date.now() + RETRY_AFTER_MS
      const cause = error instanceof Error ? error : new Error(String(error))
      throw temporarilyUnavailable('the gateway cannot reach the identity provider', cause)
    })
    return this.#asked
  }

  async #ask(): Promise<IssuerMetadata> {
    const { document, tokenUrl } = await fetchDiscovery(this.#issuer, AbortSignal.timeout(TIMEOUT_MS))
    const authorizationEndpoint = httpsUrl(document['authorization_endpoint'])
    if (authorizationEndpoint === undefined || tokenUrl === undefined)
      throw new Error(`${this.#issuer.url} names no authorization_endpoint or token_endpoint with https`)
    return {
      authorizationEndpoint,
      tokenEndpoint: tokenUrl,
      revocationEndpoint: httpsUrl(document['revocation_endpoint']),
      deviceAuthorizationEndpoint: httpsUrl(document['device_authorization_endpoint']),
      endSessionEndpoint: httpsUrl(document['end_session_endpoint']),
      authMethod: authMethodOf(document['token_endpoint_auth_methods_supported']),
      namesItself: document['authorization_response_iss_parameter_supported'] === true,
      signingAlgorithms: strings(document['id_token_signing_alg_values_supported']),
    }
  }
}

/** @see OpenID Connect Discovery 1.0 section 3: `client_secret_basic` where nothing is said */
function authMethodOf(supported: unknown): ClientAuthMethod {
  const methods = strings(supported)
  return methods.includes('client_secret_post') && !methods.includes('client_secret_basic')
    ? 'client_secret_post'
    : 'client_secret_basic'
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}
