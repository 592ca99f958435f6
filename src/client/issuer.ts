import * as openid from 'openid-client'
import { ClientError } from './client-error.ts'
import { createHttpsFetch } from './https-fetch.ts'

/** How to speak to an OpenID Provider as a public client. */
export interface IssuerOptions {
  readonly url: string
  readonly clientID: string
  /** PEM; empty to trust the system's authorities. */
  readonly certificateAuthority: string
}

export interface Tokens {
  readonly idToken: string
  /** Empty when the issuer gave none. */
  readonly refreshToken: string
}

interface AuthorizationRequest {
  readonly redirectURI: string
  readonly scopes: readonly string[]
  readonly state: string
  readonly nonce: string
  /** Of PKCE (RFC 7636); its S256 challenge is sent. */
  readonly codeVerifier: string
}

/** An OpenID Provider, as its discovery document describes it. Holds no connection. */
export interface Issuer {
  /** The address that a person opens to sign in. */
  authorizationURL(request: AuthorizationRequest): Promise<string>
  /**
   * Trades the code in a callback for tokens. Checks state, `iss` where the issuer promises it (RFC 9207), and of the ID
   * token `iss`, `aud`, `azp`, times and nonce.
   */
  exchangeCode(callback: URL, request: AuthorizationRequest): Promise<Tokens>
  refresh(refreshToken: string): Promise<Tokens>
  /** False when the issuer offers no revocation (RFC 7009). */
  revoke(refreshToken: string): Promise<boolean>
}

const TIMEOUT_SECONDS = 10

/** A value that nobody guesses: 256 bits, base64url. */
export const randomValue = (): string => openid.randomState()

/**
 * Asks an issuer for its discovery document.
 *
 * Everything here throws ClientError: `Unreachable` and `Untrusted` from the network, `LoginRefused` when the issuer
 * refuses a code or a token, `Unexpected` when an answer is out of protocol.
 */
export async function discoverIssuer({ url, clientID, certificateAuthority }: IssuerOptions): Promise<Issuer> {
  const fetch = createHttpsFetch(certificateAuthority)
  const customFetch: openid.CustomFetch = (target, { body, method, headers, signal }) =>
    fetch(target, {
      method,
      headers,
      ...((typeof body === 'string' || body instanceof URLSearchParams) && { body }),
      ...(signal !== undefined && { signal }),
    })
  const attempt = async <T>(act: () => T | Promise<T>): Promise<T> => {
    try {
      return await act()
    } catch (error) {
      throw explain(url, error)
    }
  }
  const configuration = await attempt(() =>
    openid.discovery(new URL(url), clientID, undefined, openid.None(), {
      [openid.customFetch]: customFetch,
      timeout: TIMEOUT_SECONDS,
    }),
  )

  return {
    authorizationURL: ({ redirectURI, scopes, state, nonce, codeVerifier }) =>
      attempt(async () => {
        const address = openid.buildAuthorizationUrl(configuration, {
          redirect_uri: redirectURI,
          scope: scopes.join(' '),
          state,
          nonce,
          code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
          // Without it offline access is to be ignored (OpenID Connect Core 1.0, section 11).
          ...(scopes.includes('offline_access') && { prompt: 'consent' }),
        })
        return address.href
      }),
    exchangeCode: (callback, { state, nonce, codeVerifier }) =>
      attempt(async () =>
        toTokens(
          await openid.authorizationCodeGrant(configuration, callback, {
            expectedState: state,
            expectedNonce: nonce,
            pkceCodeVerifier: codeVerifier,
            idTokenExpected: true,
          }),
        ),
      ),
    refresh: (refreshToken) =>
      attempt(async () => toTokens(await openid.refreshTokenGrant(configuration, refreshToken))),
    revoke: (refreshToken) =>
      attempt(async () => {
        if (configuration.serverMetadata().revocation_endpoint === undefined) return false
        await openid.tokenRevocation(configuration, refreshToken, { token_type_hint: 'refresh_token' })
        return true
      }),
  }
}

function toTokens(answer: openid.TokenEndpointResponse): Tokens {
  if (answer.id_token === undefined)
    throw new ClientError('LoginRefused', 'the identity provider gave no ID token; its operator has to allow it')
  return { idToken: answer.id_token, refreshToken: answer.refresh_token ?? '' }
}

function explain(url: string, error: unknown): ClientError {
  const cause = { cause: error }
  for (let reason = error; reason instanceof Error; reason = reason.cause)
    if (reason instanceof ClientError) return reason
  if (error instanceof openid.AuthorizationResponseError)
    return new ClientError('LoginRefused', `${url} refused the login: ${describe(error)}; sign in again`, cause)
  if (error instanceof openid.ResponseBodyError)
    return new ClientError(
      // The grant is over (RFC 6749 section 5.2). Other errors are the operator's to mend, and the grant outlives them.
      error.error === 'invalid_grant' ? 'LoginRefused' : 'Unexpected',
      `${url} answered ${error.status}: ${describe(error)}`,
      cause,
    )
  if (error instanceof Error && error.cause instanceof Response && error.cause.status >= 400)
    return new ClientError('Unreachable', `${url} answered HTTP ${error.cause.status}; try again later`, cause)
  return new ClientError('Unexpected', `${url} did not answer as OpenID Connect asks: ${innermost(error)}`, cause)
}

function describe({ error, error_description: description }: { error: string; error_description?: string }): string {
  return description === undefined ? error : `${error} (${description.slice(0, 200)})`
}

/** The library says what it expected in the innermost error; the outer ones are more general. */
function innermost(error: unknown): string {
  let message = String(error)
  for (let reason = error; reason instanceof Error; reason = reason.cause) message = reason.message
  return message
}
