import { runAuthorizationCodeFlow } from './authorization-code.ts'
import { ClientError } from './client-error.ts'
import { discoverIssuer, type Tokens } from './issuer.ts'
import type { Login } from './login-cache.ts'
import { loginPath, saveLogin, withLoginLock } from './login-cache-writer.ts'
import { connectPortal, decodeAuthority, type DiscoveredIssuer, type Portal, type UserInfo } from './portal.ts'
import { tokenTimes } from './refresh.ts'

export interface LoginRequest {
  /** Origin. */
  readonly portal: string
  /** PEM of the portal's authority; empty to trust the system's. */
  readonly certificateAuthority: string
  /** URL of the issuer to sign in at; needed when the portal has several. */
  readonly issuer?: string
  readonly cacheDirectory: string
  /** Brings the address before the person. Must not throw. */
  readonly present: (address: string) => void
}

export interface LoginResult {
  readonly userInfo: UserInfo
  /** Milliseconds since the epoch; the login goes on by refresh where the issuer allows it. */
  readonly expiresAtMs: number
  readonly refreshable: boolean
}

/** From the moment that the person sees the address. */
const LOGIN_TIMEOUT_MS = 180_000

/**
 * Signs a person in to a portal and keeps the login. It is kept only when the gateway takes it.
 *
 * @throws ClientError of every kind.
 */
export async function login(request: LoginRequest): Promise<LoginResult> {
  const portal = connectPortal(request.portal, request.certificateAuthority)
  const issuer = chooseIssuer(await portal.discover(), request)
  const certificateAuthority = decodeAuthority(issuer.certificateAuthorityData)
  return runAuthorizationCodeFlow({
    issuer: await discoverIssuer({ url: issuer.url, clientID: issuer.clientID, certificateAuthority }),
    scopes: issuer.scopes,
    redirectPath: issuer.redirectPath ?? '',
    timeoutMs: LOGIN_TIMEOUT_MS,
    present: request.present,
    accept: (tokens) => keep(request, portal, issuer, tokens),
  })
}

async function keep(
  { cacheDirectory, certificateAuthority }: LoginRequest,
  portal: Portal,
  issuer: DiscoveredIssuer,
  tokens: Tokens,
): Promise<LoginResult> {
  const userInfo = await portal.whoAmI(tokens.idToken)
  const nowMs = Date.now()
  const kept: Login = {
    version: 1,
    portal: portal.url,
    portalCertificateAuthority: certificateAuthority,
    issuer: issuer.url,
    issuerCertificateAuthority: decodeAuthority(issuer.certificateAuthorityData),
    clientID: issuer.clientID,
    ...tokens,
    signedInAtMs: nowMs,
    ...tokenTimes(tokens.idToken, nowMs),
    refreshFailedAtMs: 0,
    refreshFailure: '',
  }
  const path = loginPath(cacheDirectory, kept)
  await withLoginLock(path, () => {
    saveLogin({ path, login: kept })
  })
  return { userInfo, expiresAtMs: kept.expiresAtMs, refreshable: tokens.refreshToken !== '' }
}

function chooseIssuer(
  { issuers }: { readonly issuers: readonly DiscoveredIssuer[] },
  request: LoginRequest,
): DiscoveredIssuer {
  const candidates = request.issuer === undefined ? issuers : issuers.filter(({ url }) => url === request.issuer)
  const [issuer] = candidates
  if (issuer !== undefined && candidates.length === 1) return issuer
  const known = issuers.map(({ url }) => url).join(', ')
  throw new ClientError(
    'BadArgument',
    issuers.length === 0
      ? `${request.portal} has no issuer that people can sign in at; ask whoever runs it`
      : `name one of the issuers of ${request.portal} with --issuer: ${known}`,
  )
}
