import { createHash, randomBytes } from 'node:crypto'
import { authorize, exchange, type TrustedProvider } from './browser.ts'
import type { Person } from './people.ts'

/** A provider at which a client is registered. */
export interface ClientOfProvider extends TrustedProvider {
  readonly clientId: string
}

/** The answer of the token endpoint. */
export interface Tokens {
  readonly idToken: string
  readonly accessToken: string
  /** Empty when none was issued. */
  readonly refreshToken: string
}

const ALL_SCOPES = 'openid profile email groups offline_access'

/**
 * Signs a person in by the real flow (authorization code, PKCE S256) as a program on their machine would, and gives
 * back the tokens. The redirect goes to a loopback port that nobody listens on: the code is taken from its URL.
 */
export async function issueTokens(provider: ClientOfProvider, person: Person, scope = ALL_SCOPES): Promise<Tokens> {
  const redirectUri = `http://127.0.0.1:9/${random()}`
  const verifier = random()
  const state = random()
  const url = new URL('/auth', provider.issuer)
  url.search = new URLSearchParams({
    client_id: provider.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope,
    state,
    nonce: random(),
    prompt: 'consent',
    code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  }).toString()
  const callback = await authorize(provider, person, url)
  const code = callback.searchParams.get('code')
  if (code === null || callback.searchParams.get('state') !== state) {
    throw new Error(`no code came back: ${callback.searchParams.get('error_description') ?? callback.search}`)
  }
  return askForTokens(provider, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
  })
}

/**
 * Trades a refresh token for fresh tokens, the next refresh token among them.
 *
 * @throws Error `invalid_grant: …` when it was used before, revoked, or expired.
 */
export function refreshTokens(provider: ClientOfProvider, refreshToken: string): Promise<Tokens> {
  return askForTokens(provider, { grant_type: 'refresh_token', refresh_token: refreshToken })
}

async function askForTokens(provider: ClientOfProvider, parameters: Record<string, string>): Promise<Tokens> {
  const { body } = await exchange({
    url: new URL('/token', provider.issuer),
    certificateAuthority: provider.certificateAuthority,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: new URLSearchParams({ client_id: provider.clientId, ...parameters }).toString(),
  })
  const answer = JSON.parse(body) as Partial<Record<string, string>>
  if (answer['error'] !== undefined) throw new Error(`${answer['error']}: ${answer['error_description'] ?? ''}`)
  return {
    idToken: answer['id_token'] ?? '',
    accessToken: answer['access_token'] ?? '',
    refreshToken: answer['refresh_token'] ?? '',
  }
}

const random = (): string => randomBytes(32).toString('base64url')
