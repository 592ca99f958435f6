import { X509Certificate } from 'node:crypto'
import type { Server as HttpServer } from 'node:http'
import { type Server as HttpsServer, createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import type { Logger } from 'pino'
import type { AuditSink } from './audit/audit-sink.ts'
import { AuditTrail } from './audit/audit-trail.ts'
import { openFileSink } from './audit/file-sink.ts'
import { loadPublicKey } from './audit/recording/encryption.ts'
import { type RecordingStorage, openRecordingStore } from './audit/recording/open-recording-store.ts'
import { openRecorder } from './audit/recording/recorder.ts'
import type { RecordingStore } from './audit/recording/recording-store.ts'
import { createStreamSink } from './audit/stream-sink.ts'
import type {
  ConnectorConfig,
  RecordingsConfig,
  ServerCredentialConfig,
  SocketConfig,
  TlsListenerConfig,
  UpstreamConfig,
} from './config/connector-config.ts'
import { PolicyWatch } from './config/policy-watch.ts'
import { createAddressMatcher } from './document/address-range.ts'
import { Gateway } from './gateway/gateway.ts'
import { KubernetesListener } from './gateway/kubernetes-listener.ts'
import type { LiveSession, LiveStreams } from './gateway/live-streams.ts'
import { GatewayMetrics } from './gateway/metrics.ts'
import { createOpsServer } from './gateway/ops-server.ts'
import type { Recordings } from './gateway/recordings.ts'
import { endedByOperator } from './gateway/session-endings.ts'
import { type Socket, SocketTable } from './gateway/socket-table.ts'
import { UpstreamHealth } from './gateway/upstream-health.ts'
import { type IssuerOptions, signInParameters } from './identity/issuer-options.ts'
import { type OidcAuthenticator, createAuthenticator } from './identity/oidc-authenticator.ts'
import { StatusError } from './kube/status.ts'
import { PolicyInForce } from './policy/policy-in-force.ts'
import type { PortalIssuer } from './portal/discovery.ts'
import type { createPortal } from './portal/portal.ts'
import type { PortalSession, PortalSessions } from './portal/portal-session.ts'
import type { PortalSocket } from './portal/sockets.ts'
import type { ListenAddress } from './document/listen-address.ts'
import type { Endpoint, EndpointParts } from './upstream/endpoint.ts'
import { loadInCluster } from './upstream/in-cluster.ts'
import { loadKubeconfig } from './upstream/kubeconfig.ts'
import { loadStaticServer } from './upstream/static-server.ts'
import { UpstreamClient } from './upstream/upstream-client.ts'
import type { Upstream } from './upstream/upstream.ts'

/** A connector that was put together. */
export interface App {
  /**
   * Listens. Issuers and API servers that cannot be reached do not keep it from starting: it is then not ready.
   *
   * @throws when an address cannot be listened on; nothing listens then.
   */
  start(): Promise<AppAddresses>
  /** Ends gracefully within the drain timeout, and resolves when no socket, timer or file is left open. */
  stop(): Promise<void>
}

/** Where a started connector listens. */
interface AppAddresses {
  readonly kubernetes: AddressInfo
  readonly portal: AddressInfo
  readonly ops: AddressInfo
}

/**
 * Puts a connector together. Two of them in one process do not know of each other.
 *
 * @throws DocumentError for policies, EndpointError for a socket's upstream; nothing is left open then.
 */
export async function createApp(config: ConnectorConfig, { log }: { readonly log: Logger }): Promise<App> {
  await using owned = new AsyncDisposableStack()
  const { watch, policies } = await PolicyWatch.start({
    patterns: config.policies,
    onChange(changed) {
      if (!policy.replace(changed)) return
      gateway.applyRevision()
      log.info({ revision: changed.revision }, 'policy.replaced')
    },
    onMistakes(error) {
      policy.keep(error instanceof Error ? error.message : String(error))
      log.error({ revision: policy.authorizer.revision, ...describeFailure(error) }, 'policy.refused')
    },
    onMended() {
      policy.keep('')
      log.info({ revision: policy.authorizer.revision }, 'policy.mended')
    },
  })
  owned.defer(() => watch.stop())
  const policy = new PolicyInForce(policies)
  const sockets = new SocketTable(await openSockets(config.sockets, owned), config.defaultSocket)
  const sink = await openSink(config, log)
  owned.defer(() => sink.close())
  const kept = config.recordings === null ? null : await openRecordings(config.recordings, log)
  if (kept !== null) owned.defer(() => kept.store.close())
  const metrics = new GatewayMetrics()
  const authenticator = createAuthenticator({
    issuers: config.identity.issuers,
    onReadinessChange(readiness) {
      log[readiness.ready ? 'info' : 'warn'](readiness, 'issuer.readiness')
    },
  })
  owned.defer(() => {
    authenticator.close()
  })
  const trail = new AuditTrail({ sink, requestReceived: config.audit.requestReceived, onComplete: metrics.completed })
  const gateway = new Gateway({
    sockets,
    authenticator,
    authorizer: () => policy.authorizer,
    trail,
    recordings: kept?.recordings ?? null,
    limits: config.limits,
    origin: config.listen.kubernetes.publicURL,
    isTrustedProxy: createAddressMatcher(config.listen.kubernetes.trustedProxies),
    onFailure({ auditId, error }) {
      log.error({ auditId, ...describeFailure(error) }, 'request.failed')
    },
  })
  metrics.observe(sockets, gateway.streams)
  if (kept !== null) metrics.observeRecordings(() => kept.store.writable)
  metrics.observePolicy(() => ({ revision: policy.authorizer.revision, failing: policy.problem !== '' }))

  const health = [...sockets.sockets].map(
    (socket) =>
      new UpstreamHealth(socket, (check) => {
        log[check.ready ? 'info' : 'warn'](check, 'socket.readiness')
      }),
  )
  owned.defer(() => {
    for (const asked of health) asked.stop()
  })
  const { listen, limits } = config
  const kubernetes = new KubernetesListener({ gateway, limits, ...pemOf(listen.kubernetes) })
  const portal = createPortalServer(config, {
    authenticator,
    policy,
    trail,
    gateway,
    recordings: kept?.store ?? null,
    log,
  })
  const ops = createOpsServer({
    checks: () => [
      { name: 'audit', ready: sink.writable, reason: sink.writable ? '' : 'the trail cannot be written' },
      ...(kept === null
        ? []
        : [{ name: 'recordings', ready: true, reason: kept.store.writable ? '' : 'none can be kept' }]),
      { name: 'policy', ready: true, reason: firstLine(policy.problem) },
      ...authenticator.readiness().map(({ issuer, ready, reason }) => ({ name: `issuer/${issuer}`, ready, reason })),
      ...health.map(({ check }) => check),
    ],
    policy: () => policy.status,
    metrics: async () => ({ contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }),
  })

  const resources = owned.move()
  const stop = async (): Promise<void> => {
    await Promise.all([kubernetes.stop(), close(portal), close(ops)])
    await resources.disposeAsync()
  }
  return {
    async start() {
      try {
        const addresses = {
          kubernetes: await listenOn(kubernetes.server, listen.kubernetes.address),
          portal: await listenOn(portal, listen.portal.address),
          ops: await listenOn(ops, listen.ops.address),
        }
        for (const check of health) void check.start()
        return addresses
      } catch (error) {
        await stop()
        throw error
      }
    },
    stop,
  }
}

function createPortalServer(
  { listen, identity, sockets }: ConnectorConfig,
  {
    authenticator,
    policy,
    trail,
    gateway,
    recordings,
    log,
  }: {
    readonly authenticator: OidcAuthenticator
    readonly policy: PolicyInForce
    readonly trail: AuditTrail
    readonly gateway: Gateway
    readonly recordings: RecordingStore | null
    readonly log: Logger
  },
): HttpsServer {
  const handler = loadedOnDemand(async () => {
    const { createPortal: create } = await import('./portal/portal.ts')
    return create({
      publicURL: listen.portal.publicURL,
      kubernetes: {
        publicURL: listen.kubernetes.publicURL,
        certificateAuthority: privateAuthority(listen.kubernetes),
      },
      issuers: identity.issuers.map(portalIssuer),
      authenticator,
      sockets: () => sockets.map((socket) => portalSocket(socket, listen.kubernetes)),
      mayReach: (subject, socket) => policy.authorizer.summary(subject, socket),
      isTrustedProxy: createAddressMatcher(listen.portal.trustedProxies),
      sessions: portalSessions(gateway.streams),
      recordings,
      authorize: (attributes) => policy.authorizer.authorize(attributes),
      trail,
      report: (error) => {
        log.error(describeFailure(error), 'portal.failed')
      },
    })
  })
  const { certificate: cert, key } = pemOf(listen.portal)
  return createServer({ cert, key, minVersion: 'TLSv1.2' }, handler)
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

async function openRecordings(
  { store: kept, publicKeyFile, maxAgeMs, maxBytes, maskInput }: RecordingsConfig,
  log: Logger,
): Promise<{ readonly store: RecordingStore; readonly recordings: Recordings }> {
  const store = await openRecordingStore({
    storage: recordingStorage(kept),
    encryptTo: publicKeyFile === null ? null : await loadPublicKey(publicKeyFile),
    retention: { maxAgeMs, maxBytes },
    events: {
      onProblem(error) {
        log.error(describeFailure(error), 'recordings.failed')
      },
      onInterrupted({ session }, hash) {
        log.warn({ session: session.id, auditId: session.auditId, manifest: hash }, 'recording.interrupted')
      },
      onDeleted(session, reason) {
        log.info({ session, reason }, 'recording.deleted')
      },
    },
  })
  const maskPatterns = maskInput.map((pattern) => new RegExp(pattern, 'gu'))
  const recordings: Recordings = {
    get writable() {
      return store.writable
    },
    open: (facts, input, events) => openRecorder({ store, facts, input, maskPatterns, ...events }),
    async discard(id) {
      try {
        await store.remove(id)
      } catch (error) {
        log.error(describeFailure(error), 'recordings.failed')
      }
    },
  }
  return { store, recordings }
}

function recordingStorage(store: RecordingsConfig['store']): RecordingStorage {
  if (store.kind === 'directory') return { kind: 'directory', directory: store.path }
  const { bucket, prefix, region, endpoint = null, forcePathStyle, spool, maxSpoolBytes } = store
  return {
    kind: 's3',
    location: { bucket, prefix, region, endpoint, forcePathStyle, serverSideEncryption: null },
    spool: { directory: spool, maxBytes: maxSpoolBytes },
  }
}

async function openSockets(configs: readonly SocketConfig[], owned: AsyncDisposableStack): Promise<Socket[]> {
  const opened: Socket[] = []
  for (const { name, hosts, forwardAs, recording, upstream: config } of configs) {
    const upstream = await openUpstream(config)
    owned.defer(() => {
      upstream.close()
    })
    opened.push({ name, hosts, forwardAs, upstream, recordSessions: recording.sessions, recordInput: recording.input })
  }
  return opened
}

async function openUpstream(config: UpstreamConfig): Promise<Upstream> {
  if (config.kind !== 'eks') return new UpstreamClient(await loadEndpoint(config))
  // With it comes the AWS SDK: a tenth of a second and 5 MB.
  const { EksUpstream } = await import('./upstream/eks/eks-upstream.ts')
  return EksUpstream.open(config)
}

function loadEndpoint(upstream: Exclude<UpstreamConfig, { readonly kind: 'eks' }>): Promise<Endpoint> {
  switch (upstream.kind) {
    case 'kubeconfig':
      return loadKubeconfig(upstream)
    case 'inCluster':
      return loadInCluster()
    case 'server': {
      const { url, certificateAuthority, tlsServerName, credential } = upstream
      return loadStaticServer({ server: url, certificateAuthority, tlsServerName, ...credentialParts(credential) })
    }
  }
}

function credentialParts(credential: ServerCredentialConfig): Pick<EndpointParts, 'token' | 'clientCertificate'> {
  switch (credential.kind) {
    case 'token':
      return { token: { value: credential.value.reveal() } }
    case 'tokenFile':
      return { token: { file: credential.file } }
    case 'clientCertificate': {
      const { certificateFile, keyFile } = credential
      return { clientCertificate: { certificate: { file: certificateFile }, key: { file: keyFile } } }
    }
  }
}

function openSink({ audit }: ConnectorConfig, log: Logger): Promise<AuditSink> {
  if (audit.trail.kind === 'stdout') return Promise.resolve(createStreamSink(process.stdout))
  return openFileSink(audit.trail.path, (error) => {
    log.error(describeFailure(error), 'audit.failed')
  })
}

function pemOf({ tls }: TlsListenerConfig): { readonly certificate: string; readonly key: string } {
  return { certificate: tls.certificate, key: tls.key.reveal() }
}

/** The self-signed certificate that ends a listener's chain, which clients then have to be told of; empty when none does. */
function privateAuthority({ tls }: TlsListenerConfig): string {
  const last = tls.certificate.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)?.at(-1)
  if (last === undefined) return ''
  const certificate = new X509Certificate(last)
  return certificate.checkIssued(certificate) ? `${last}\n` : ''
}

function portalIssuer(options: IssuerOptions): PortalIssuer {
  const { issuer, clientId, scopes, certificateAuthority = '' } = signInParameters(options)
  return { url: issuer, clientID: clientId, scopes, redirectPath: '', certificateAuthority }
}

function portalSocket({ name, recording }: SocketConfig, kubernetes: TlsListenerConfig): PortalSocket {
  return {
    name,
    url: `${kubernetes.publicURL}/sockets/${name}`,
    certificateAuthority: privateAuthority(kubernetes),
    recording: recording.sessions,
  }
}

/** What the operator's log says of a failure, which the client is not told. */
function describeFailure(error: unknown): { readonly error: string; readonly stack?: string } {
  if (error instanceof StatusError)
    return { error: error.detail === '' ? error.message : `${error.message}: ${error.detail}` }
  return error instanceof Error ? { error: error.message, stack: error.stack ?? '' } : { error: String(error) }
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

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

function listenOn(server: Server, { host, port }: ListenAddress): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(host === '' ? { port } : { host, port }, () => {
      server.off('error', reject)
      resolve(server.address() as AddressInfo)
    })
  })
}

function close(server: HttpServer | HttpsServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
    server.closeIdleConnections()
  })
}
