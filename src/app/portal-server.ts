import { type Server as HttpsServer, createServer } from 'node:https'
import type { Logger } from 'pino'
import type { AuditTrail } from '../audit/audit-trail.ts'
import type { RecordingStore } from '../audit/recording-store/recording-store.ts'
import type { ConnectorConfig, SocketConfig } from '../config/connector-config.ts'
import type { ListenerCertificates } from '../config/listener-certificates.ts'
import { createAddressMatcher } from '../document/address-range.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { LiveSession, LiveStreams } from '../gateway/live-streams.ts'
import { endedByOperator } from '../gateway/session-endings.ts'
import { authorizationServerPath } from '../identity/authorization-server.ts'
import { BackChannelLogout } from '../identity/logins/back-channel-logout.ts'
import type { Logins } from '../identity/logins/logins.ts'
import { type IssuerOptions, signInParameters } from '../identity/issuer-options.ts'
import type { OidcAuthenticator } from '../identity/oidc-authenticator.ts'
import type { PolicyInForce } from '../policy/policy-in-force.ts'
import type { PortalIssuer } from '../portal/discovery.ts'
import type { createPortal } from '../portal/portal.ts'
import type { PortalSession, PortalSessions } from '../portal/portal-session.ts'
import type { PortalSocket } from '../portal/sockets.ts'
import { describeFailure } from './describe-failure.ts'

/** The portal's listener, which the caller starts and stops. */
export function createPortalServer(
  { listen, identity, sockets, limits }: ConnectorConfig,
  {
    authenticator,
    policy,
    trail,
    gateway,
    recordings,
    logins,
    certificates,
    log,
  }: {
    readonly authenticator: OidcAuthenticator
    readonly policy: PolicyInForce
    readonly trail: AuditTrail
    readonly gateway: Gateway
    readonly recordings: RecordingStore | null
    readonly logins: Logins
    readonly certificates: ListenerCertificates
    readonly log: Logger
  },
): HttpsServer {
  const { publicURL } = listen.kubernetes
  const { hostname } = new URL(publicURL)
  const privateAuthority = (): string => certificates.kubernetes.authorityFor(hostname)
  const handler = loadedOnDemand(async () => {
    const { createPortal: create } = await import('../portal/portal.ts')
    return create({
      publicURL: listen.portal.publicURL,
      kubernetes: {
        publicURL,
        get certificateAuthority() {
          return privateAuthority()
        },
      },
      issuers: identity.issuers.flatMap((issuer) => portalIssuers(issuer, listen.portal.publicURL)),
      identity: identity.issuers,
      authenticator,
      sockets: () => sockets.map((socket) => portalSocket(socket, publicURL, privateAuthority())),
      mayReach: (subject, socket) => policy.authorizer.summary(subject, socket),
      isTrustedProxy: createAddressMatcher(listen.portal.trustedProxies),
      sessions: portalSessions(gateway.streams),
      recordings,
      logins,
      authorize: (attributes) => policy.authorizer.authorize(attributes),
      backChannelLogout: identity.issuers.some(({ client }) => client?.backchannelLogout === true)
        ? new BackChannelLogout({ logins, verify: (token) => authenticator.verifyLogout(token) })
        : null,
      trail,
      report: (error) => {
        log.error(describeFailure(error), 'portal.failed')
      },
    })
  })
  // People meet the portal first: it reads more than the gateway does, to tell whose token is too long for that.
  const maxHeaderSize = 2 * limits.maxHeaderBytes
  const server = createServer({ ...certificates.portal.options, maxHeaderSize }, handler)
  certificates.portal.serve(server)
  return server
}

function portalSessions(streams: LiveStreams): PortalSessions {
  const shown = (session: LiveSession): PortalSession => ({
    facts: session.facts,
    lastActivityAtMs: session.lastActivityAtMs,
    sentBytes: session.sentBytes,
    receivedBytes: session.receivedBytes,
    recorded: session.recorded,
    end(reason) {
      session.end(endedByOperator(reason))
    },
    follow: (listener) => session.follow(listener),
  })
  return {
    list: () => [...streams.sessions.values()].map(shown),
    find(id) {
      const session = streams.sessions.get(id)
      return session === undefined ? undefined : shown(session)
    },
  }
}

/** None for an issuer that nobody signs in at with the command line. */
function portalIssuers(options: IssuerOptions, publicURL: string): PortalIssuer[] {
  const parameters = signInParameters(options)
  if (parameters === undefined) return []
  const { issuer, clientId, scopes, certificateAuthority = '' } = parameters
  const isConfidential = options.client?.confidential !== undefined
  return [
    {
      url: issuer,
      clientID: clientId,
      scopes,
      certificateAuthority,
      flows: options.client ?? {},
      ...(isConfidential && { authorizationServer: `${publicURL}${authorizationServerPath(issuer)}` }),
    },
  ]
}

function portalSocket(
  { name, recording }: SocketConfig,
  publicURL: string,
  certificateAuthority: string,
): PortalSocket {
  return {
    name,
    url: `${publicURL}/sockets/${name}`,
    certificateAuthority,
    recording: recording.sessions,
  }
}

/** A handler that is made at the first request: Express is a tenth of an idle connector, which may never be asked. */
function loadedOnDemand(load: () => Promise<PortalHandler>): PortalHandler {
  let handler: Promise<PortalHandler> | null = null
  return (request, response) => {
    handler ??= load()
    handler.then(
      (handle) => {
        handle(request, response)
      },
      () => {
        response.destroy()
      },
    )
  }
}

type PortalHandler = ReturnType<typeof createPortal>
