import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { AuditSink } from '../../src/audit/audit-sink.ts'
import { AuditTrail } from '../../src/audit/audit-trail.ts'
import { authorizationServerPath } from '../../src/identity/authorization-server.ts'
import type { IssuerOptions } from '../../src/identity/issuer-options.ts'
import { BackChannelLogout } from '../../src/identity/logins/back-channel-logout.ts'
import { Logins } from '../../src/identity/logins/logins.ts'
import { createAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import type { PortalIssuer } from '../../src/portal/discovery.ts'
import { createPortal, type PortalOptions } from '../../src/portal/portal.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { createMemorySink } from './audit-lines.ts'
import { authorizerOf } from './policies.ts'

/** A portal over TLS with a real authenticator behind it. */
export interface StartedPortal {
  /** Origin. */
  readonly url: string
  /** PEM of the authority to trust. */
  readonly certificateAuthority: string
  /** `METHOD PATH` of every request, in order. */
  readonly seen: readonly string[]
  /** What was reported as a failure. */
  readonly failures: readonly Error[]
  stop(): Promise<void>
}

export interface PortalTestOptions extends Partial<
  Pick<PortalOptions, 'sockets' | 'mayReach' | 'sessions' | 'recordings' | 'logins' | 'authorize'>
> {
  /** Whose tokens are taken. */
  readonly issuers: readonly IssuerOptions[]
  /** Shown in discovery in place of those. */
  readonly discovered?: readonly PortalIssuer[]
  /** Where audit events go; kept in memory unless a test says otherwise. */
  readonly sink?: AuditSink
}

/** Starts a portal on a free port of 127.0.0.1. The caller stops it. */
export async function startPortal({
  issuers,
  discovered,
  sockets = () => [],
  mayReach = () => [],
  sessions = { list: () => [], find: () => undefined },
  recordings = null,
  logins = new Logins(),
  authorize = (attributes) => authorizerOf({}).authorize(attributes),
  sink = createMemorySink(),
}: PortalTestOptions): Promise<StartedPortal> {
  const authority = createCertificateAuthority()
  // As in a connector.
  const server = createServer({ ...authority.issueServer(), maxHeaderSize: 128 * 1024 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const authenticator = createAuthenticator({ issuers, logins })
  const seen: string[] = []
  const failures: Error[] = []
  const portal = createPortal({
    backChannelLogout: new BackChannelLogout({ logins, verify: (token) => authenticator.verifyLogout(token) }),
    publicURL: url,
    kubernetes: { publicURL: 'https://kube.example.com', certificateAuthority: authority.certificate },
    issuers: discovered ?? issuers.flatMap((issuer) => discoveredIssuers(issuer, url)),
    identity: issuers,
    authenticator,
    sockets,
    mayReach,
    sessions,
    recordings,
    logins,
    authorize,
    trail: new AuditTrail({ sink, requestReceived: false }),
    isTrustedProxy: () => false,
    report: (error) => failures.push(error),
  })
  server.on('request', (request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''}`)
    portal(request, response)
  })
  return {
    url,
    certificateAuthority: authority.certificate,
    seen,
    failures,
    stop: async () => {
      authenticator.close()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function discoveredIssuers({ url, client, certificateAuthority = '' }: IssuerOptions, portal: string): PortalIssuer[] {
  if (client === undefined) return []
  const authorizationServer = `${portal}${authorizationServerPath(url)}`
  return [
    {
      url,
      clientID: client.id,
      scopes: client.scopes,
      flows: client,
      certificateAuthority,
      ...(client.confidential !== undefined && { authorizationServer }),
    },
  ]
}
