import * as openid from 'openid-client'
import { ClientError } from './client-error.ts'
import { explainIssuerError, type OAuthError } from './issuer-error.ts'
import { createHttpsFetch } from './https-fetch.ts'

/** How to get the tokens of an OpenID Provider as a public client. */
export interface IssuerOptions {
  readonly url: string
  readonly clientID: string
  /**
   * What is asked in the issuer's place, where the issuer wants a secret of its client: an address at the portal, which has
   * it. Empty where the issuer itself is asked.
   */
  readonly authorizationServer: string
  /** PEM, of whoever is asked; empty to trust the system's authorities. */
  readonly certificateAuthority: string
}

export interface Tokens {
  readonly idToken: string
  /** Empty when the issuer gave none. */
  readonly refreshToken: string
}

/** Values of `prompt` (OpenID Connect Core 1.0 section 3.1.2.1) that a person may ask for. */
export type SignInPromptValue = '' | 'login' | 'select_account'

interface AuthorizationRequest {
  readonly redirectURI: string
  readonly scopes: readonly string[]
  readonly state: string
  readonly nonce: string
  /** Of PKCE (RFC 7636); its S256 challenge is sent. */
  readonly codeVerifier: string
  /** What the person has to do even where the issuer knows them already; empty for what it wants itself. */
  readonly prompt: SignInPromptValue
}

/** A login that waits for a person on another device. */
interface DeviceAuthorization {
  /** What the person types in. */
  readonly userCode: string
  /** Where they type it. */
  readonly verificationURI: string
  /** The same with the code in it; empty when the issuer gives none. */
  readonly verificationURIComplete: string
  /**
   * Asks at the pace that the issuer sets until the person is done.
   *
   * @throws ClientError `LoginTimedOut` when the code or `timeoutMs` ends first.
   */
  tokens(timeoutMs: number): Promise<Tokens>
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
  /** @see RFC 8628 */
  authorizeDevice(scopes: readonly string[]): Promise<DeviceAuthorization>
  refresh(refreshToken: string): Promise<Tokens>
  /** False when the issuer offers no revocation (RFC 7009). */
  revoke(refreshToken: string): Promise<boolean>
  /**
   * Where a person ends their session at the issuer; empty when it offers no such page. It names nobody: a token in an
   * address would stay in the history of the browser.
   *
   * @see OpenID Connect RP-Initiated Logout 1.0
   */
  endSessionURL(): string
}

const TIMEOUT_SECONDS = 10
/** As the gateway has it. */
const CLOCK_TOLERANCE_SECONDS = 30

/** A value that nobody guesses: 256 bits, base64url. */
export const randomValue = (): string => openid.randomState()

/**
 * Asks an issuer for its discovery document.
 *
 * Everything here throws ClientError: `Unreachable` and `Untrusted` from the network, `LoginRefused` when the issuer
 * refuses a code or a token, `Unexpected` when an answer is out of protocol.
 */
export async function discoverIssuer({
  url,
  clientID,
  authorizationServer,
  certificateAuthority,
}: IssuerOptions): Promise<Issuer> {
  const fetch = createHttpsFetch(certificateAuthority)
  const customFetch: openid.CustomFetch = (target, { body, method, headers, signal }) =>
    fetch(target, {
      method,
      headers,
      ...((typeof body === 'string' || body instanceof URLSearchParams) && { body }),
      ...(signal !== undefined && { signal }),
    })
  const attempt = async <T>(act: () => T | Promise<T>, secrets: readonly string[] = []): Promise<T> => {
    try {
      return await act()
    } catch (error) {
      throw explainIssuerError({ url, clientID, secrets }, error, oauthErrorOf(error))
    }
  }
  const metadata = authorizationServer === '' ? url : `${authorizationServer}/.well-known/openid-configuration`
  const configuration = await attempt(() =>
    openid.discovery(new URL(metadata), clientID, { [openid.clockTolerance]: CLOCK_TOLERANCE_SECONDS }, openid.None(), {
      [openid.customFetch]: customFetch,
      timeout: TIMEOUT_SECONDS,
    }),
  )
  // The library compares it with the address, where it is at one of the issuer.
  if (authorizationServer !== '' && configuration.serverMetadata().issuer !== url)
    throw new ClientError('Unexpected', `${authorizationServer} does not speak for ${url}; ask whoever runs it`)

  return {
    authorizationURL: ({ redirectURI, scopes, state, nonce, codeVerifier, prompt }) =>
      attempt(async () => {
        // Without consent offline access is to be ignored (OpenID Connect Core 1.0, section 11).
        const consent = scopes.includes('offline_access') ? 'consent' : ''
        const prompts = [prompt, consent].filter((value) => value !== '')
        const address = openid.buildAuthorizationUrl(configuration, {
          redirect_uri: redirectURI,
          scope: scopes.join(' '),
          state,
          nonce,
          code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
          ...(prompts.length > 0 && { prompt: prompts.join(' ') }),
          // Then the ID token has to say when they signed in (section 3.1.2.1), by which the gateway knows it for a newer one.
          ...(prompt === 'login' && { max_age: '0' }),
        })
        return address.href
      }),
    exchangeCode: (callback, { state, nonce, codeVerifier }) =>
      attempt(
        async () =>
          toTokens(
            await openid.authorizationCodeGrant(configuration, callback, {
              expectedState: state,
              expectedNonce: nonce,
              pkceCodeVerifier: codeVerifier,
              idTokenExpected: true,
            }),
          ),
        [callback.searchParams.get('code') ?? '', codeVerifier],
      ),
    authorizeDevice: (scopes) =>
      attempt(async () => {
        if (configuration.serverMetadata().device_authorization_endpoint === undefined)
          throw new ClientError(
            'Unexpected',
            `${url} offers no device authorization; sign in with a browser, or ask whoever runs it`,
          )
        // Dex and Keycloak hold a device to its verifier as well, and Keycloak can insist; others pass over it (RFC 6749 section 3.2).
        const verifier = { code_verifier: randomValue() }
        const device = await openid.initiateDeviceAuthorization(configuration, {
          scope: scopes.join(' '),
          code_challenge: await openid.calculatePKCECodeChallenge(verifier.code_verifier),
          code_challenge_method: 'S256',
        })
        return {
          userCode: device.user_code,
          verificationURI: device.verification_uri,
          verificationURIComplete: device.verification_uri_complete ?? '',
          tokens: (timeoutMs) => {
            const signal = AbortSignal.timeout(Math.min(timeoutMs, device.expires_in * 1000))
            return attempt(
              async () =>
                toTokens(await openid.pollDeviceAuthorizationGrant(configuration, device, verifier, { signal })),
              [device.device_code, verifier.code_verifier],
            ).catch((error: unknown) => {
              if (!signal.aborted) throw error
              throw new ClientError('LoginTimedOut', 'nobody signed in with the code in time', { cause: error })
            })
          },
        }
      }),
    refresh: (refreshToken) =>
      attempt(async () => toTokens(await openid.refreshTokenGrant(configuration, refreshToken)), [refreshToken]),
    revoke: (refreshToken) =>
      attempt(async () => {
        if (configuration.serverMetadata().revocation_endpoint === undefined) return false
        await openid.tokenRevocation(configuration, refreshToken, { token_type_hint: 'refresh_token' })
        return true
      }, [refreshToken]),
    endSessionURL: () =>
      configuration.serverMetadata().end_session_endpoint === undefined
        ? ''
        : openid.buildEndSessionUrl(configuration).href,
  }
}

function toTokens(answer: openid.TokenEndpointResponse): Tokens {
  if (answer.id_token === undefined)
    throw new ClientError('LoginRefused', 'the identity provider gave no ID token, which its operator has to allow')
  return { idToken: answer.id_token, refreshToken: answer.refresh_token ?? '' }
}

function oauthErrorOf(error: unknown): OAuthError | null {
  if (error instanceof openid.AuthorizationResponseError)
    return { status: 0, error: error.error, description: error.error_description ?? '' }
  if (error instanceof openid.ResponseBodyError)
    return { status: error.status, error: error.error, description: error.error_description ?? '' }
  return null
}
