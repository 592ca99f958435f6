import { generateKeyPair, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { promisify } from 'node:util'
import Provider, { type AdapterFactory, type Configuration, type JWK } from 'oidc-provider'
import { exchange } from './identity-provider/browser.ts'
import { people as everybody, type Person } from './identity-provider/people.ts'
import { document, escapeHtml, isSignInPath, serveSignIn, signInPath } from './identity-provider/sign-in-page.ts'
import { createStorage } from './identity-provider/storage.ts'

/*
 * A real OpenID Provider on one machine, and people who sign in there. For the demo, the tests and the benchmarks:
 *
 *   const authority = createCertificateAuthority()                        // certificates.ts
 *   const provider = await startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate } })
 *   const tokens = await issueTokens(provider, people.ana)                // identity-provider/tokens.ts
 *   const answer = await signIn(provider, people.ana, authorizationUrl)   // identity-provider/browser.ts, instead of a browser
 *   await answerDevice(provider, people.ana, verificationUri, 'allow')    // the same for a code that a device shows
 *   await provider.stop()
 *
 * Client `postern` is public: code flow with PKCE S256 only, no secret. Its redirect URIs are http://127.0.0.1:PORT/ANY/PATH
 * and http://[::1]:PORT/ANY/PATH (RFC 8252); `localhost` is refused. `registerConfidential` gives it a secret. As OpenID Connect Core section 11 asks, a refresh token is
 * issued only when the request has scope `offline_access` and `prompt=consent`. Refresh tokens rotate; a used one
 * that comes back revokes the whole grant.
 */

export interface IdentityProviderOptions {
  /** PEM. `ca` is the authority that signed `cert`, for those who have to trust the provider. Needs a SAN of 127.0.0.1. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string }
  /** Default 0: any free port. */
  readonly port?: number
  /** Who can sign in. Default everybody of `people`. */
  readonly people?: readonly Person[]
  /** Lifetime of ID tokens. Default 300. */
  readonly idTokenSeconds?: number
  /** Default `RS256`. Keys for both are published either way. */
  readonly signingAlgorithm?: 'RS256' | 'ES256'
  /** Where it tells that sessions ended (OpenID Connect Back-Channel Logout 1.0), and PEM to trust there; its tokens then have a `sid`. */
  readonly backChannelLogout?: { readonly uri: string; readonly certificateAuthority: string }
}

/** What the provider saw since it started. */
interface IdentityProviderCounts {
  /** Authorization codes given out. */
  signIns: number
  refreshes: number
  /** Token requests that were refused: wrong code or verifier, used or revoked refresh token. */
  refusals: number
  revocations: number
  signOuts: number
  discoveries: number
  keyFetches: number
}

/** A client with a secret, as an operator registers it. */
interface ConfidentialRegistration {
  readonly secret: string
  /** The only one that is taken. */
  readonly redirectURI: string
  /** The only one that is taken, and that the metadata names. Default `client_secret_basic`. */
  readonly authMethod?: 'client_secret_basic' | 'client_secret_post'
}

export interface IdentityProvider {
  /** `https://127.0.0.1:PORT`, without a slash at the end. */
  readonly issuer: string
  /** PEM of the authority to trust. */
  readonly certificateAuthority: string
  readonly clientId: 'postern'
  /** Live; read it before and after. */
  readonly counts: Readonly<IdentityProviderCounts>
  /** Errors inside the provider, which a test expects to be none. It never prints. */
  readonly errors: readonly Error[]
  /** Signs with new keys from now on and publishes only those. Sessions, codes and refresh tokens stay good. */
  rotateKeys(): Promise<void>
  /** Makes the client a confidential one from now on, or gives it another secret. Keys, sessions, codes and refresh tokens stay good. */
  registerConfidential(client: ConfidentialRegistration): void
  /** While down, every connection to the port is broken off at once. */
  setDown(down: boolean): void
  stop(): Promise<void>
}

/** Starts the provider on 127.0.0.1. The caller stops it. */
export async function startIdentityProvider({
  tls,
  port = 0,
  people = Object.values(everybody),
  idTokenSeconds = 300,
  signingAlgorithm = 'RS256',
  backChannelLogout,
}: IdentityProviderOptions): Promise<IdentityProvider> {
  const server = createServer({ cert: tls.cert, key: tls.key })
  const sockets = trackSockets(server)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`

  const counts = { signIns: 0, refreshes: 0, refusals: 0, revocations: 0, signOuts: 0, discoveries: 0, keyFetches: 0 }
  const errors: Error[] = []
  const settings = {
    people,
    idTokenSeconds,
    signingAlgorithm,
    backChannelLogout,
    storage: createStorage(),
    cookieKey: randomBytes(32).toString('hex'),
  }
  const build = (
    keys: readonly JWK[],
    client: ConfidentialRegistration | null,
  ): { provider: Provider; handle: ReturnType<Provider['callback']> } => {
    const provider = new Provider(issuer, configure({ ...settings, keys, confidential: client }))
    if (client === null) acceptLoopbackRedirects(provider)
    observe(provider, counts, errors)
    return { provider, handle: provider.callback() }
  }
  let keys = await generateKeys()
  let confidential: ConfidentialRegistration | null = null
  let current = build(keys, confidential)

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    if (path === '/.well-known/openid-configuration') counts.discoveries += 1
    if (path === '/jwks') counts.keyFetches += 1
    const answered = isSignInPath(path)
      ? serveSignIn(current.provider, people, request, response)
      : current.handle(request, response)
    answered.catch((error: unknown) => {
      // An authorization request that is over or belongs to another browser: the person starts again.
      if (!response.headersSent) response.writeHead(400, { 'content-type': 'text/plain' })
      response.end(error instanceof Error ? error.message : 'the request failed')
    })
  })

  return {
    issuer,
    certificateAuthority: tls.ca,
    clientId: 'postern',
    counts,
    errors,
    rotateKeys: async () => {
      keys = await generateKeys()
      current = build(keys, confidential)
    },
    registerConfidential: (client) => {
      confidential = client
      current = build(keys, confidential)
    },
    setDown: (down) => {
      sockets.refuse(down)
    },
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      sockets.destroy()
      await closed
    },
  }
}

interface ProviderSettings {
  readonly people: readonly Person[]
  readonly idTokenSeconds: number
  readonly signingAlgorithm: 'RS256' | 'ES256'
  readonly backChannelLogout: IdentityProviderOptions['backChannelLogout']
  readonly storage: AdapterFactory
  readonly cookieKey: string
  readonly keys: readonly JWK[]
  /** Null for the public one. */
  readonly confidential: ConfidentialRegistration | null
}

const MINUTE = 60
const DAY = 24 * 60 * MINUTE

/** Every function that the library would otherwise print a notice about is given. */
function configure({
  people,
  idTokenSeconds,
  signingAlgorithm,
  backChannelLogout,
  storage,
  cookieKey,
  keys,
  confidential,
}: ProviderSettings): Configuration {
  return {
    adapter: storage,
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    clients: [
      {
        client_id: 'postern',
        client_name: 'Postern',
        ...(confidential === null
          ? { application_type: 'native', token_endpoint_auth_method: 'none' }
          : {
              application_type: 'web',
              token_endpoint_auth_method: confidential.authMethod ?? 'client_secret_basic',
              client_secret: confidential.secret,
            }),
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
        redirect_uris: [confidential?.redirectURI ?? 'http://127.0.0.1/callback'],
        post_logout_redirect_uris: confidential === null ? ['http://127.0.0.1/'] : [],
        id_token_signed_response_alg: signingAlgorithm,
        ...(backChannelLogout !== undefined && {
          backchannel_logout_uri: backChannelLogout.uri,
          backchannel_logout_session_required: true,
        }),
      },
    ],
    responseTypes: ['code'],
    clientAuthMethods: [confidential === null ? 'none' : (confidential.authMethod ?? 'client_secret_basic')],
    scopes: ['openid', 'offline_access'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    // Kubernetes reads ID tokens only, so the claims of all scopes have to be in them.
    conformIdTokenClaims: false,
    findAccount: (_context, subject) => {
      const person = people.find((candidate) => candidate.subject === subject)
      return person === undefined ? undefined : { accountId: subject, claims: () => claimsOf(person) }
    },
    async loadExistingGrant({ oidc }) {
      const { client, session, provider, requestParamOIDCScopes } = oidc
      if (client === undefined || session?.accountId === undefined) return undefined
      const known = session.grantIdFor(client.clientId)
      const grant =
        (known === undefined ? undefined : await provider.Grant.find(known)) ??
        new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope([...requestParamOIDCScopes].join(' '))
      await grant.save()
      return grant
    },
    interactions: { url: (_context, interaction) => signInPath(interaction.uid) },
    rotateRefreshToken: true,
    pkce: { required: () => true },
    clientBasedCORS: () => false,
    fetch: (url, options) =>
      callOut(url instanceof Request ? url.url : url, options, backChannelLogout?.certificateAuthority ?? ''),
    ttl: {
      AccessToken: 10 * MINUTE,
      AuthorizationCode: MINUTE,
      DeviceCode: 10 * MINUTE,
      Grant: DAY,
      IdToken: idTokenSeconds,
      Interaction: 10 * MINUTE,
      RefreshToken: DAY,
      Session: DAY,
    },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: backChannelLogout !== undefined },
      deviceFlow: {
        enabled: true,
        deviceInfo: (context) => ({ ip: context.ip, ua: context.get('user-agent') }),
        userCodeInputSource: (context, form) => {
          context.body = document('Sign in a device', `${form}<button form="op.deviceInputForm">Continue</button>`)
        },
        userCodeConfirmSource: (context, form, client, _device, userCode) => {
          const buttons = `<button form="op.deviceConfirmForm">Allow</button>
            <button form="op.deviceConfirmForm" name="abort" value="yes">Deny</button>`
          const text = `${client.clientName ?? client.clientId} shows the code ${userCode} and wants to sign in as you.`
          context.body = document('Sign in a device', `<p>${escapeHtml(text)}</p>${form}${buttons}`)
        },
        successSource: (context) => {
          context.body = document('The device is signed in', '<p>You may close this window.</p>')
        },
      },
      revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context, form) => {
          context.body = document(
            'Sign out',
            `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`,
          )
        },
        postLogoutSuccessSource: (context) => {
          context.body = document('Signed out', '<p>You may close this window.</p>')
        },
      },
      userinfo: { enabled: true },
    },
    renderError: (context, out) => {
      context.type = 'html'
      context.body = document('Sign-in failed', `<p>${escapeHtml(`${out.error}: ${out.error_description ?? ''}`)}</p>`)
    },
  }
}

/** What the provider asks of others, over TLS that only the authority vouches for. */
async function callOut(
  url: string | URL,
  { headers, body }: RequestInit = {},
  certificateAuthority = '',
): Promise<Response> {
  const form = body instanceof URLSearchParams ? body.toString() : undefined
  const sent = Object.fromEntries(new Headers(headers).entries())
  const { status } = await exchange({ url: new URL(url), certificateAuthority, headers: sent, body: form })
  return new Response(null, { status })
}

function claimsOf(person: Person): { sub: string; [claim: string]: unknown } {
  return {
    sub: person.subject,
    name: person.name,
    preferred_username: person.login,
    email: person.login,
    email_verified: person.emailVerified,
    ...(person.groups.length > 0 && { groups: person.groups }),
  }
}

/** Two keys, RSA 2048 and EC P-256, for `sig`, with names of their own. */
async function generateKeys(): Promise<JWK[]> {
  const generate = promisify(generateKeyPair)
  const rsa = await generate('rsa', { modulusLength: 2048 })
  const ec = await generate('ec', { namedCurve: 'P-256' })
  const jwk = (key: typeof rsa, alg: string): JWK => ({
    ...(key.privateKey.export({ format: 'jwk' }) as JWK),
    kid: `${alg}-${randomBytes(6).toString('hex')}`,
    alg,
    use: 'sig',
  })
  return [jwk(rsa, 'RS256'), jwk(ec, 'ES256')]
}

/** The library lets the port vary (RFC 8252 section 7.3); the path may too, since a client picks one for each login. */
function acceptLoopbackRedirects(provider: Provider): void {
  const isLoopback = (uri: string): boolean => {
    const url = URL.parse(uri)
    return (
      url?.protocol === 'http:' &&
      ['127.0.0.1', '[::1]'].includes(url.hostname) &&
      url.username === '' &&
      url.hash === ''
    )
  }
  provider.Client.prototype.redirectUriAllowed = isLoopback
  provider.Client.prototype.postLogoutRedirectUriAllowed = isLoopback
}

function observe(provider: Provider, counts: IdentityProviderCounts, errors: Error[]): void {
  provider.on('authorization.success', () => (counts.signIns += 1))
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params?.['grant_type'] === 'refresh_token') counts.refreshes += 1
  })
  provider.on('grant.error', () => (counts.refusals += 1))
  provider.on('grant.revoked', () => (counts.revocations += 1))
  provider.on('end_session.success', () => (counts.signOuts += 1))
  provider.on('backchannel.error', (_context, error) => errors.push(error))
  provider.on('server_error', (_context, error) => errors.push(error))
  // Koa prints errors that nobody listens for.
  const koa: NodeJS.EventEmitter = provider
  koa.on('error', (error: Error) => errors.push(error))
}

function trackSockets(server: Server): { destroy(): void; refuse(refused: boolean): void } {
  const open = new Set<Socket>()
  let refusing = false
  const destroy = (): void => {
    for (const socket of open) socket.destroy()
  }
  server.on('connection', (socket: Socket) => {
    if (refusing) {
      socket.destroy()
      return
    }
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  return {
    destroy,
    refuse(refused) {
      refusing = refused
      if (refused) destroy()
    },
  }
}
