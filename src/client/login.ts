import { runAuthorizationCodeFlow } from './authorization-code.ts'
import { ClientError } from './client-error.ts'
import { discoverIssuer, type Issuer, type SignInPromptValue, type Tokens } from './issuer.ts'
import type { Login } from './login-cache.ts'
import { assertRoom, knownAuthority, loginPath, saveLogin, withLoginLock } from './login-cache-writer.ts'
import { connectPortal, decodeAuthority, type DiscoveredIssuer, type Portal, type UserInfo } from './portal.ts'
import { tokenTimes } from './refresh.ts'

export interface LoginRequest {
  /** Origin. */
  readonly portal: string
  /** PEM of the portal's authority; absent to trust what an earlier login there trusted, else the system's. */
  readonly certificateAuthority?: string
  /** URL of the issuer to sign in at. */
  readonly issuer?: string
  readonly cacheDirectory: string
  /** A browser on this machine, or a code for another device. */
  readonly flow: 'browser' | 'device'
  /** What the person has to do even where the issuer knows them already; only in a browser. */
  readonly prompt?: SignInPromptValue
  /** From the moment that the person is asked to sign in. */
  readonly timeoutMs: number
  /** Brings before the person what they have to do. Must not throw. */
  readonly present: (prompt: SignInPrompt) => void
  /** Asks which of several issuers; without it, one has to be named when there are several. */
  readonly chooseIssuer?: (urls: readonly string[]) => Promise<string>
}

/** What a person has to do to sign in. `issuer` is a URL. */
export type SignInPrompt =
  | { readonly flow: 'browser'; readonly issuer: string; readonly address: string }
  | {
      readonly flow: 'device'
      readonly issuer: string
      readonly clientID: string
      readonly address: string
      readonly userCode: string
    }

export interface LoginResult {
  readonly userInfo: UserInfo
  /** Milliseconds since the epoch; the login goes on by refresh where the issuer allows it. */
  readonly expiresAtMs: number
  readonly refreshable: boolean
}

export const DEFAULT_LOGIN_TIMEOUT_MS = 180_000

/**
 * Signs a person in to a portal and keeps the login. It is kept only when the gateway takes it.
 *
 * @throws ClientError of every kind.
 */
export async function login(request: LoginRequest): Promise<LoginResult> {
  const certificateAuthority =
    request.certificateAuthority ?? knownAuthority(request.cacheDirectory, request.portal) ?? ''
  const portal = connectPortal(request.portal, certificateAuthority)
  const discovered = await chooseIssuer((await portal.discover()).issuers, request)
  const issuer = await discoverIssuer({
    url: discovered.url,
    clientID: discovered.clientID,
    authorizationServer: discovered.authorizationServer ?? '',
    certificateAuthority: authorityOf(discovered, certificateAuthority),
  })
  await assertRoom(
    loginPath(request.cacheDirectory, { portal: portal.url, issuer: discovered.url, clientID: discovered.clientID }),
  )
  const accept = (tokens: Tokens): Promise<LoginResult> =>
    keep({ ...request, certificateAuthority }, portal, discovered, tokens)
  try {
    return await (request.flow === 'device'
      ? runDeviceFlow(request, issuer, discovered, accept)
      : runAuthorizationCodeFlow({
          issuer,
          scopes: discovered.scopes,
          redirect: { host: discovered.redirectHost, path: discovered.redirectPath, ports: discovered.redirectPorts },
          prompt: request.prompt ?? '',
          timeoutMs: request.timeoutMs,
          present: (address) => {
            request.present({ flow: 'browser', issuer: discovered.url, address })
          },
          accept,
          welcome: ({ userInfo }) => `You are ${userInfo.username} at ${request.portal}.`,
        }))
  } catch (error) {
    throw error instanceof ClientError ? withRemedy(error, request.portal, discovered.url) : error
  }
}

/** @see RFC 8628 */
async function runDeviceFlow(
  { portal, present, timeoutMs }: LoginRequest,
  issuer: Issuer,
  { url, clientID, scopes, deviceAuthorization }: DiscoveredIssuer,
  accept: (tokens: Tokens) => Promise<LoginResult>,
): Promise<LoginResult> {
  if (!deviceAuthorization)
    throw new ClientError(
      'Refused',
      `${portal} does not let people sign in at ${url} with a code; sign in without --device, or ask whoever runs it`,
    )
  const device = await issuer.authorizeDevice(scopes)
  const address = device.verificationURIComplete === '' ? device.verificationURI : device.verificationURIComplete
  present({ flow: 'device', issuer: url, clientID, address, userCode: device.userCode })
  return accept(await device.tokens(timeoutMs))
}

/** PEM of the authority of whoever is asked for tokens: the issuer, or the portal in its place. */
function authorityOf({ authorizationServer, certificateAuthorityData }: DiscoveredIssuer, portals: string): string {
  return authorizationServer === undefined ? decodeAuthority(certificateAuthorityData) : portals
}

async function keep(
  { cacheDirectory, certificateAuthority }: LoginRequest & { readonly certificateAuthority: string },
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
    ...(issuer.authorizationServer !== undefined && { authorizationServer: issuer.authorizationServer }),
    issuerCertificateAuthority: authorityOf(issuer, certificateAuthority),
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

/** What the gateway tells those whose login is over; `again` to those whose login was revoked. */
const GATEWAY_ADVICE = /; sign in (again )?with "postern client login"$/

/** What to do about an error that would say something else after a refresh. */
function withRemedy(error: ClientError, portal: string, issuer: string): ClientError {
  const cause = { cause: error }
  if (error.code === 'LoginTimedOut')
    return new ClientError(
      'LoginTimedOut',
      `${error.message}; sign in again, and if ${issuer} showed an error, send that to whoever runs it`,
      cause,
    )
  if (error.code === 'LoginRefused')
    return new ClientError('LoginRefused', `${error.message}; sign in again, or ask whoever runs it`, cause)
  // The same login again would be refused too, whatever the gateway advises.
  if (error.code === 'NotSignedIn') {
    const [advice = '', again] = GATEWAY_ADVICE.exec(error.message) ?? []
    const remedy =
      again === undefined
        ? 'ask whoever runs it'
        : `prove anew who you are, run: postern client login --portal ${portal} --prompt login`
    return new ClientError(
      again === undefined ? 'Refused' : 'LoginRevoked',
      `${error.message.slice(0, error.message.length - advice.length)}; ${remedy}`,
      cause,
    )
  }
  return error
}

async function chooseIssuer(issuers: readonly DiscoveredIssuer[], request: LoginRequest): Promise<DiscoveredIssuer> {
  const urls = issuers.map(({ url }) => url)
  const asked = request.issuer === undefined && urls.length > 1 ? await request.chooseIssuer?.(urls) : request.issuer
  const candidates = asked === undefined ? issuers : issuers.filter(({ url }) => url === asked)
  const [issuer] = candidates
  if (issuer !== undefined && candidates.length === 1) return issuer
  throw new ClientError(
    'BadArgument',
    issuers.length === 0
      ? `${request.portal} has no issuer that people can sign in at; ask whoever runs it`
      : `name one of the issuers of ${request.portal} with --issuer: ${urls.join(', ')}`,
  )
}
