import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose'
import type { IssuerOptions } from '../../src/identity/issuer-options.ts'
import type { RawHeaders } from '../../src/kube/raw-headers.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'

/** An issuer that people sign in at. */
type SignInIssuer = IssuerOptions & Required<Pick<IssuerOptions, 'client'>>

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A key pair of an issuer, and what it publishes of it. */
export interface SigningKey {
  readonly id: string
  readonly algorithm: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
}

/** Makes a key pair; `id` is its `kid`. RSA keys have 2048 bits. */
export async function createSigningKey(id: string, algorithm = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
  return {
    id,
    algorithm,
    privateKey,
    publicJwk: { ...(await exportJWK(publicKey)), kid: id, alg: algorithm, use: 'sig' },
  }
}

/**
 * An OpenID Connect issuer over TLS that publishes and signs whatever a test asks for. What an honest issuer does,
 * the sandbox's identity provider shows; this one is for what goes wrong.
 */
export interface StagedIssuer {
  readonly url: string
  readonly certificateAuthority: string
  /** The key that tokens are signed with unless a test says otherwise. */
  readonly key: SigningKey
  /** Paths that were asked for, in order. */
  readonly seen: string[]
  /** What the discovery document says; `jwks_uri` may be pointed elsewhere. */
  discovery: Record<string, unknown>
  /** What `/keys` publishes. */
  keys: unknown
  /** Cache-Control of `/keys`. */
  cacheControl: string | undefined
  /** Answers in place of what is published, by path. */
  readonly staged: Map<string, Answer>
  /** Options for an authenticator that trusts this issuer. */
  options(overrides?: Partial<SignInIssuer>): SignInIssuer
  /** A token that ana@example.com would get at `nowMs`, good for 5 minutes. A claim that is undefined is left out. */
  sign(claims?: Record<string, unknown>, how?: SignOptions): Promise<string>
  close(): Promise<void>
}

interface SignOptions {
  readonly key?: SigningKey
  /** Added to the protected header. */
  readonly header?: Record<string, unknown>
  /** Milliseconds since the epoch; default now. */
  readonly nowMs?: number
}

/** Starts an issuer on a free port of 127.0.0.1. The caller closes it. */
export async function startStagedIssuer({ path = '', port = 0 } = {}): Promise<StagedIssuer> {
  const authority = createCertificateAuthority()
  const key = await createSigningKey('first-key')
  const server = createServer(authority.issueServer())
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}${path}`

  const issuer: StagedIssuer = {
    url,
    certificateAuthority: authority.certificate,
    key,
    seen: [],
    discovery: { issuer: url, jwks_uri: `${url}/keys` },
    keys: { keys: [key.publicJwk] },
    cacheControl: undefined,
    staged: new Map(),
    options: (overrides) => ({
      url,
      certificateAuthority: authority.certificate,
      audiences: ['postern'],
      client: { id: 'postern', scopes: ['openid', 'email', 'groups'] },
      claimMappings: { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
      claimValidationRules: [],
      ...overrides,
    }),
    sign: (claims, options) => signToken(url, claims, { key, ...options }),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const asked = request.url ?? ''
    issuer.seen.push(asked)
    const staged = issuer.staged.get(asked)
    if (staged !== undefined) staged(request, response)
    else if (asked === `${path}/.well-known/openid-configuration`) answerJson(response, issuer.discovery)
    else if (asked === `${path}/keys`) answerJson(response, issuer.keys, issuer.cacheControl)
    else response.writeHead(404).end()
  })
  return issuer
}

/** The claims of {@link StagedIssuer.sign} with `claims` over them. */
export function claimsOfAna(issuer: string, claims: Record<string, unknown> = {}, nowMs = Date.now()): JWTPayload {
  const nowSeconds = Math.floor(nowMs / 1000)
  return {
    iss: issuer,
    aud: 'postern',
    sub: 'person-ana',
    iat: nowSeconds,
    exp: nowSeconds + 300,
    email: 'ana@example.com',
    email_verified: true,
    groups: ['payments-dev'],
    ...claims,
  }
}

async function signToken(
  issuer: string,
  claims: Record<string, unknown> | undefined,
  { key, header, nowMs }: SignOptions & { readonly key: SigningKey },
): Promise<string> {
  return new SignJWT(claimsOfAna(issuer, claims, nowMs))
    .setProtectedHeader({ alg: key.algorithm, kid: key.id, ...header })
    .sign(key.privateKey)
}

/** The headers of a request that presents a token. */
export function bearer(token: string): RawHeaders {
  return ['Host', 'kube.example.com', 'Authorization', `Bearer ${token}`, 'Accept', 'application/json']
}

function answerJson(response: ServerResponse, value: unknown, cacheControl?: string): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    ...(cacheControl !== undefined && { 'cache-control': cacheControl }),
  })
  response.end(JSON.stringify(value))
}
