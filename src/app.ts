import type { Server as HttpServer } from 'node:http'
import { type Server as HttpsServer, createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { AuditSink } from './audit/audit-sink.ts'
import { AuditTrail } from './audit/audit-trail.ts'
import { openFileSink } from './audit/file-sink.ts'
import { loadPublicKey } from './audit/recording-store/encryption.ts'
import { type RecordingStorage, openRecordingStore } from './audit/recording-store/open-recording-store.ts'
import { openRecorder } from './audit/recording/recorder.ts'
import type { RecordingStore } from './audit/recording-store/recording-store.ts'
import { createStreamSink } from './audit/stream-sink.ts'
import type {
  ConnectorConfig,
  RecordingsConfig,
  SecretText,
  ServerCredentialConfig,
  SocketConfig,
  UpstreamConfig,
} from './config/connector-config.ts'
import { type ListenerCertificateEvents, ListenerCertificates } from './config/listener-certificates.ts'
import { PolicyObjectWatch } from './config/policy-object-watch.ts'
import { PolicyWatch } from './config/policy-watch.ts'
import { createAddressMatcher } from './document/address-range.ts'
import { Gateway } from './gateway/gateway.ts'
import { KubernetesListener } from './gateway/kubernetes-listener.ts'
import type { LiveSession, LiveStreams } from './gateway/live-streams.ts'
import { GatewayMetrics } from './gateway/metrics.ts'
import { type ReadinessCheck, createOpsServer } from './gateway/ops-server.ts'
import type { Recordings } from './gateway/recordings.ts'
import { endedByOperator } from './gateway/session-endings.ts'
import { type Socket, SocketTable } from './gateway/socket-table.ts'
import { UpstreamHealth } from './gateway/upstream-health.ts'
import { type OpenedLogins, openLogins } from './identity/logins/open-logins.ts'
import type { Logins } from './identity/logins/logins.ts'
import { type IssuerOptions, signInParameters } from './identity/issuer-options.ts'
import { type OidcAuthenticator, createAuthenticator } from './identity/oidc-authenticator.ts'
import type { ServiceAccountsOptions } from './identity/service-accounts.ts'
import { StatusError } from './kube/status.ts'
import { PolicyInForce } from './policy/policy-in-force.ts'
import { type Policy, joinPolicies } from './policy/policy-set.ts'
import type { PolicyObjectsStatus } from './policy/policy-status.ts'
import type { PortalIssuer } from './portal/discovery.ts'
import type { createPortal } from './portal/portal.ts'
import type { PortalSession, PortalSessions } from './portal/portal-session.ts'
import type { PortalSocket } from './portal/sockets.ts'
import type { ListenAddress } from './document/listen-address.ts'
import type { Endpoint, EndpointParts, Text } from './upstream/endpoint.ts'
import { loadInCluster } from './upstream/in-cluster.ts'
import { loadKubeconfig } from './upstream/kubeconfig.ts'
import { postObject } from './upstream/json-request.ts'
import { ReloadedUpstream, type ReloadedUpstreamOptions } from './upstream/reloaded-upstream.ts'
import type { FilesRead } from './upstream/small-file.ts'
import { loadStaticServer } from './upstream/static-server.ts'
import type { Upstream } from './upstream/upstream.ts'

/** A connector that was put together. */
export interface App {
  /**
   * Listens. Issuers and API servers that cannot be reached do not keep it from starting: it is then not ready.
   *
   * @throws when an address cannot be listened on; nothing listens then.
   */
  start(): Promise<AppAddresses>
  /**
   * Is not ready any more, goes on for the shutdown delay, ends gracefully within the drain timeout, and resolves when no
   * socket, timer or file is left open.
   */
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
 * @throws DocumentError for policies, EndpointError for a socket's upstream, LoginFileError for logins that were kept;
 * nothing is left open then.
 */
export async function createApp(config: ConnectorConfig, { log }: { readonly log: Logger }): Promise<App> {
  await using owned = new AsyncDisposableStack()
  const { watch, policies } = await PolicyWatch.start({
    patterns: config.policies,
    onChange(changed) {
      fromFiles = changed
      applyPolicies()
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
  let fromFiles = policies
  const policy = new PolicyInForce(
    policies,
    Date.now,
    config.policyObjects === null ? '' : 'the policies that are Kubernetes objects were not read yet',
  )
  // Null until they are known.
  let fromObjects = (): readonly Policy[] | null => (config.policyObjects === null ? [] : null)
  const applyPolicies = (): void => {
    const others = fromObjects()
    if (others === null) return
    const joined = joinPolicies(fromFiles, others)
    if (!policy.replace(joined)) return
    gateway.applyRevision()
    log.info({ revision: joined.revision }, 'policy.replaced')
  }
  const health = new Map<string, UpstreamHealth>()
  const opened = await openSockets(config.sockets, owned, (socket) => upstreamEvents(socket, health, log))
  const sockets = new SocketTable(opened, config.defaultSocket)
  const sink = await openSink(config, log)
  owned.defer(() => sink.close())
  const kept = config.recordings === null ? null : await openRecordings(config.recordings, log)
  if (kept !== null) owned.defer(() => kept.store.close())
  const metrics = new GatewayMetrics()
  const openedLogins = await openKeptLogins(config, log)
  owned.defer(() => openedLogins.close())
  const { logins } = openedLogins
  const authenticator = createAuthenticator({
    issuers: config.identity.issuers,
    logins,
    serviceAccounts: config.identity.serviceAccounts.map((cluster) => serviceAccounts(cluster, sockets)),
    ...(config.identity.clientCertificates !== null && { clientCertificates: config.identity.clientCertificates }),
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
    onFailure({ auditId, socket, error }) {
      log.error({ auditId, ...describeFailure(error) }, 'request.failed')
      health.get(socket)?.suspect()
    },
  })
  metrics.observe(sockets, gateway.streams)
  if (kept !== null) metrics.observeRecordings(() => kept.store.writable)
  const objects = createPolicyObjectWatch(config.policyObjects, sockets, applyPolicies, log)
  if (objects !== null) {
    owned.defer(() => objects.stop())
    fromObjects = () => (objects.known ? objects.policies : null)
    metrics.observePolicyObjects(() => {
      const { count, refused, staleSince } = objects.status
      return { count, refused: refused.length, stale: staleSince !== null }
    })
  }
  metrics.observePolicy(() => ({ revision: policy.authorizer.revision, failing: policy.problem !== '' }))

  for (const socket of sockets.sockets) {
    const told = (check: ReadinessCheck): void => {
      log[check.ready ? 'info' : 'warn'](check, 'socket.readiness')
    }
    health.set(socket.name, new UpstreamHealth(socket, told))
  }
  owned.defer(() => {
    for (const asked of health.values()) asked.stop()
  })
  const { listen, limits } = config
  const certificates = await openCertificates(config, log)
  owned.defer(() => certificates.stop())
  metrics.observeCertificates(() => certificates.list())
  const kubernetes = new KubernetesListener({ gateway, limits, tls: certificates.kubernetes.options })
  certificates.kubernetes.serve(kubernetes.server)
  const portal = createPortalServer(config, {
    authenticator,
    policy,
    trail,
    gateway,
    recordings: kept?.store ?? null,
    logins,
    certificates,
    log,
  })
  let stopping = false
  const ops = createOpsServer({
    checks: () => [
      { name: 'shutdown', ready: !stopping, reason: stopping ? 'the connector stops' : '' },
      { name: 'audit', ready: sink.writable, reason: sink.writable ? '' : 'the trail cannot be written' },
      ...(kept === null
        ? []
        : [{ name: 'recordings', ready: true, reason: kept.store.writable ? '' : 'none can be kept' }]),
      { name: 'logins', ready: true, reason: openedLogins.writable ? '' : 'they cannot be written down' },
      { name: 'policy', ready: true, reason: firstLine(policy.problem) },
      ...(objects === null ? [] : [policyObjectsCheck(objects.status)]),
      ...certificates
        .problems()
        .map(({ listener, problem: reason }) => ({ name: `certificate/${listener}`, ready: true, reason })),
      ...authenticator.readiness().map(({ issuer, ready, reason }) => ({ name: `issuer/${issuer}`, ready, reason })),
      ...[...health.values()].map(({ check }) => check),
    ],
    policy: () => policy.status(fromFiles.revision, objects?.status ?? null),
    metrics: async () => ({ contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }),
  })

  const resources = owned.move()
  const end = async (): Promise<void> => {
    await Promise.all([kubernetes.stop(), close(portal)])
    await close(ops)
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
        for (const asked of health.values()) void asked.start()
        objects?.start()
        return addresses
      } catch (error) {
        await end()
        throw error
      }
    },
    async stop() {
      stopping = true
      await sleep(limits.shutdownDelayMs)
      await end()
    },
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
    const { createPortal: create } = await import('./portal/portal.ts')
    return create({
      publicURL: listen.portal.publicURL,
      kubernetes: {
        publicURL,
        get certificateAuthority() {
          return privateAuthority()
        },
      },
      issuers: identity.issuers.flatMap(portalIssuers),
      authenticator,
      sockets: () => sockets.map((socket) => portalSocket(socket, publicURL, privateAuthority())),
      mayReach: (subject, socket) => policy.authorizer.summary(subject, socket),
      isTrustedProxy: createAddressMatcher(listen.portal.trustedProxies),
      sessions: portalSessions(gateway.streams),
      recordings,
      logins,
      authorize: (attributes) => policy.authorizer.authorize(attributes),
      trail,
      report: (error) => {
        log.error(describeFailure(error), 'portal.failed')
      },
    })
  })
  const server = createServer(certificates.portal.options, handler)
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

function openKeptLogins({ loginsDirectory }: ConnectorConfig, log: Logger): Promise<OpenedLogins> {
  if (loginsDirectory === null) {
    log.warn({}, 'logins.unkept: a restart forgets which logins were revoked; give the document a stateDirectory')
  }
  return openLogins(loginsDirectory, (error) => {
    log.error(describeFailure(error), 'logins.failed')
  })
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

type UpstreamEvents = Omit<ReloadedUpstreamOptions, 'load'>

/** What the log says of a socket whose credentials, authorities or address change. */
function upstreamEvents(socket: string, health: ReadonlyMap<string, UpstreamHealth>, log: Logger): UpstreamEvents {
  return {
    onReloaded() {
      log.info({ socket }, 'upstream.reloaded')
      health.get(socket)?.suspect()
    },
    onRefused(problem) {
      log.error({ socket, error: problem }, 'upstream.refused')
    },
    onMended() {
      log.info({ socket }, 'upstream.mended')
    },
  }
}

async function openSockets(
  configs: readonly SocketConfig[],
  owned: AsyncDisposableStack,
  eventsOf: (socket: string) => UpstreamEvents,
): Promise<Socket[]> {
  const opened: Socket[] = []
  for (const { name, hosts, forwardAs, recording, upstream: config } of configs) {
    const upstream = await openUpstream(config, eventsOf(name))
    owned.defer(() => {
      upstream.close()
    })
    opened.push({ name, hosts, forwardAs, upstream, recordSessions: recording.sessions, recordInput: recording.input })
  }
  return opened
}

async function openUpstream(config: UpstreamConfig, events: UpstreamEvents): Promise<Upstream> {
  if (config.kind !== 'eks') {
    return ReloadedUpstream.open({ load: (files) => loadEndpoint(config, files), ...events })
  }
  // With it comes the AWS SDK: a tenth of a second and 5 MB.
  const { EksUpstream } = await import('./upstream/eks/eks-upstream.ts')
  return EksUpstream.open(config)
}

function loadEndpoint(
  upstream: Exclude<UpstreamConfig, { readonly kind: 'eks' }>,
  files: FilesRead,
): Promise<Endpoint> {
  switch (upstream.kind) {
    case 'kubeconfig':
      return loadKubeconfig(upstream, files)
    case 'inCluster':
      return loadInCluster(process.env, undefined, files)
    case 'server': {
      const { url, certificateAuthority, tlsServerName, credential } = upstream
      const parts = { server: url, certificateAuthority, tlsServerName, ...credentialParts(credential) }
      return loadStaticServer(parts, files)
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
      const { certificate, key } = credential
      return { clientCertificate: { certificate: revealed(certificate), key: revealed(key) } }
    }
  }
}

function revealed(text: SecretText): Text {
  return 'file' in text ? text : { value: text.value.reveal() }
}

function createPolicyObjectWatch(
  config: ConnectorConfig['policyObjects'],
  sockets: SocketTable,
  onChange: () => void,
  log: Logger,
): PolicyObjectWatch | null {
  if (config === null) return null
  const upstream = [...sockets.sockets].find(({ name }) => name === config.socket)?.upstream
  if (upstream === undefined) throw new TypeError(`there is no socket ${config.socket}`)
  return new PolicyObjectWatch({
    ...config,
    upstream,
    onChange,
    onState({ socket, known, staleSince, problem, count }) {
      if (staleSince === null) log.info({ socket, known, count }, 'policy.objects.current')
      else log.warn({ socket, known, staleSince, problem }, 'policy.objects.stale')
    },
    onRefused({ name, reason, mistakes, inForce }) {
      log.warn({ object: name, reason, mistakes, inForce }, 'policy.object.refused')
    },
    onConditionProblem(problem) {
      if (problem === '') log.info('policy.objects.conditions.written')
      else log.warn({ problem }, 'policy.objects.conditions.unwritten')
    },
  })
}

function policyObjectsCheck({ known, staleSince, problem, refused }: PolicyObjectsStatus): ReadinessCheck {
  const reasons = [
    ...(staleSince === null ? [] : [`not read since ${staleSince}: ${problem}`]),
    ...(refused.length === 0 ? [] : [`${refused.length} are not accepted as they are; the first: ${refused[0] ?? ''}`]),
  ]
  return {
    name: 'policy-objects',
    ready: known,
    reason: firstLine(reasons.join('; ')) || (known ? '' : 'not read yet'),
  }
}

function openSink({ audit }: ConnectorConfig, log: Logger): Promise<AuditSink> {
  if (audit.trail.kind === 'stdout') return Promise.resolve(createStreamSink(process.stdout))
  return openFileSink(audit.trail.path, (error) => {
    log.error(describeFailure(error), 'audit.failed')
  })
}

/** Of the cluster that a socket leads to, which is asked with the connector's own credential there. */
function serviceAccounts(
  options: Omit<ServiceAccountsOptions, 'review'>,
  sockets: SocketTable,
): ServiceAccountsOptions {
  const upstream = [...sockets.sockets].find(({ name }) => name === options.socket)?.upstream
  if (upstream === undefined) throw new TypeError(`there is no socket ${options.socket}`)
  return {
    ...options,
    review: (request, signal) => postObject(upstream, '/apis/authentication.k8s.io/v1/tokenreviews', request, signal),
  }
}

function openCertificates(config: ConnectorConfig, log: Logger): Promise<ListenerCertificates> {
  const events: ListenerCertificateEvents = {
    onTrial(notice) {
      log.warn(notice, 'certificate.trial: nobody vouches for it; give listeners without it a certificate under tls')
    },
    onReplaced(listener, inForce) {
      const ends = inForce.map(({ notAfterMs }) => new Date(notAfterMs).toISOString())
      log.info({ listener, ends }, 'certificate.replaced')
    },
    onRefused(listener, problem) {
      log.error({ listener, error: problem }, 'certificate.refused')
    },
    onMended(listener) {
      log.info({ listener }, 'certificate.mended')
    },
  }
  return ListenerCertificates.open(config, events, config.identity.clientCertificates?.authorities)
}

/** None for an issuer that nobody signs in at with the command line. */
function portalIssuers(options: IssuerOptions): PortalIssuer[] {
  const parameters = signInParameters(options)
  if (parameters === undefined) return []
  const { issuer, clientId, scopes, certificateAuthority = '' } = parameters
  return [{ url: issuer, clientID: clientId, scopes, certificateAuthority, flows: options.client ?? {} }]
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
