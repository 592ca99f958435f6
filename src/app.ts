import type { AddressInfo, Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { AuditSink } from './audit/audit-sink.ts'
import { AuditTrail } from './audit/audit-trail.ts'
import { openFileSink } from './audit/file-sink.ts'
import { createStreamSink } from './audit/stream-sink.ts'
import type { ConnectorConfig } from './config/connector-config.ts'
import { PolicyWatch } from './config/policy-watch.ts'
import { createAddressMatcher } from './document/address-range.ts'
import { Gateway } from './gateway/gateway.ts'
import { KubernetesListener } from './gateway/kubernetes-listener.ts'
import { longestToken } from './gateway/limits.ts'
import { GatewayMetrics } from './gateway/metrics.ts'
import { type ReadinessCheck, createOpsServer } from './gateway/ops-server.ts'
import { SocketTable } from './gateway/socket-table.ts'
import { UpstreamHealth } from './gateway/upstream-health.ts'
import { type OpenedLogins, openLogins } from './identity/logins/open-logins.ts'
import { createAuthenticator } from './identity/oidc-authenticator.ts'
import { PolicyInForce } from './policy/policy-in-force.ts'
import { type Policy, joinPolicies } from './policy/policy-set.ts'
import type { ListenAddress } from './document/listen-address.ts'
import { BoundedListener } from './app/bounded-listener.ts'
import { openCertificates } from './app/certificates.ts'
import { describeFailure } from './app/describe-failure.ts'
import { firstLine } from './app/first-line.ts'
import { issuerChecks } from './app/issuer-checks.ts'
import { createPolicyObjectWatch, policyObjectsCheck } from './app/policy-objects.ts'
import { createPortalServer } from './app/portal-server.ts'
import { openRecordings } from './app/recordings.ts'
import { openSockets, serviceAccounts, upstreamEvents } from './app/sockets.ts'

/** How long after the sessions those may go on at the portal who follow them: to see how they end. */
const FOLLOWERS_TIMEOUT_MS = 2_000
/** How long who asks the ops listener may take for the answer, which is short. */
const OPS_DRAIN_TIMEOUT_MS = 1_000

/** A connector that was put together. */
export interface App {
  /**
   * Listens. Issuers and API servers that cannot be reached do not keep it from starting: it is then not ready.
   *
   * @throws when an address cannot be listened on; nothing listens then.
   */
  start(): Promise<AppAddresses>
  /**
   * Is not ready any more, goes on for the shutdown delay, ends gracefully within the drain timeout and what
   * recordings may take to be uploaded, whatever clients do, and resolves when no socket, timer or file is left open.
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
  // What must be whole at the end, which waits for nothing else then. The last that was opened is closed first.
  await using evidence = new AsyncDisposableStack()
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
  // Files may change before there is a gateway.
  let endWithdrawn = (): void => undefined
  const applyPolicies = (): void => {
    const others = fromObjects()
    if (others === null) return
    const joined = joinPolicies(fromFiles, others)
    if (!policy.replace(joined)) return
    endWithdrawn()
    log.info({ revision: joined.revision }, 'policy.replaced')
  }
  const health = new Map<string, UpstreamHealth>()
  const opened = await openSockets(config.sockets, owned, (socket) => upstreamEvents(socket, health, log))
  const sockets = new SocketTable(opened, config.defaultSocket)
  const kept = config.recordings === null ? null : await openRecordings(config.recordings, log)
  if (kept !== null) evidence.defer(() => kept.store.close())
  const sink = await openSink(config, log)
  evidence.defer(() => sink.close())
  const metrics = new GatewayMetrics()
  const openedLogins = await openKeptLogins(config, log)
  evidence.defer(() => openedLogins.close())
  const { logins } = openedLogins
  const askedIssuers = new Set<string>()
  const authenticator = createAuthenticator({
    issuers: config.identity.issuers,
    logins,
    serviceAccounts: config.identity.serviceAccounts.map((cluster) => serviceAccounts(cluster, sockets)),
    maxTokenLength: longestToken(config.limits),
    ...(config.identity.clientCertificates !== null && { clientCertificates: config.identity.clientCertificates }),
    onReadinessChange(readiness) {
      askedIssuers.add(readiness.issuer)
      log[readiness.ready ? 'info' : 'warn'](readiness, 'issuer.readiness')
    },
  })
  owned.defer(() => {
    authenticator.close()
  })
  const trail = new AuditTrail({
    sink,
    requestReceived: config.audit.requestReceived,
    onComplete(request) {
      metrics.completed(request)
      // Allowed here and refused there: perhaps the connector itself has lost its rights.
      if (request.decision === 'allow' && request.code === 403) health.get(request.socket)?.suspect()
    },
  })
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
  endWithdrawn = () => {
    gateway.applyRevision()
  }
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
      const { name, ready, reason } = check
      log[ready && reason === '' ? 'info' : 'warn']({ name, ready, reason }, 'socket.readiness')
    }
    health.set(socket.name, new UpstreamHealth(socket, told))
  }
  metrics.observeReadiness(() => [...health].map(([socket, { check }]) => ({ socket, ready: check.ready })))
  metrics.observeIssuers(() => authenticator.readiness())
  owned.defer(() => {
    for (const asked of health.values()) asked.stop()
  })
  const { listen, limits } = config
  const certificates = await openCertificates(config, log)
  owned.defer(() => certificates.stop())
  metrics.observeCertificates(() => certificates.list())
  const kubernetes = new KubernetesListener({ gateway, limits, tls: certificates.kubernetes.options })
  certificates.kubernetes.serve(kubernetes.server)
  const recordings = kept?.store ?? null
  const pages = { authenticator, policy, trail, gateway, recordings, logins, certificates, log }
  const portal = new BoundedListener(createPortalServer(config, pages), limits.drainTimeoutMs + FOLLOWERS_TIMEOUT_MS)
  let stopping = false
  const operations = createOpsServer({
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
      ...issuerChecks(authenticator.readiness(), askedIssuers),
      ...[...health.values()].map(({ check }) => check),
    ],
    policy: () => policy.status(fromFiles.revision, objects?.status ?? null),
    metrics: async () => ({ contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }),
  })

  const ops = new BoundedListener(operations, OPS_DRAIN_TIMEOUT_MS)

  const [resources, accounts] = [owned.move(), evidence.move()]
  const end = async (): Promise<void> => {
    const listeners = await Promise.allSettled([kubernetes.stop(), portal.stop()])
    const rest = [accounts.disposeAsync(), resources.disposeAsync(), ops.stop()]
    for (const ended of [...listeners, ...(await Promise.allSettled(rest))]) {
      if (ended.status === 'rejected') throw ended.reason
    }
  }
  return {
    async start() {
      try {
        const addresses = {
          kubernetes: await listenOn(kubernetes.server, listen.kubernetes.address),
          portal: await listenOn(portal.server, listen.portal.address),
          ops: await listenOn(ops.server, listen.ops.address),
        }
        if (config.loginsDirectory === null)
          log.warn('logins.unkept: a restart forgets which logins were revoked; give the document a stateDirectory')
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

function openKeptLogins({ loginsDirectory }: ConnectorConfig, log: Logger): Promise<OpenedLogins> {
  return openLogins(loginsDirectory, (error) => {
    log.error(describeFailure(error), 'logins.failed')
  })
}

function openSink({ audit }: ConnectorConfig, log: Logger): Promise<AuditSink> {
  if (audit.trail.kind === 'stdout') return Promise.resolve(createStreamSink(process.stdout))
  return openFileSink(audit.trail.path, (error) => {
    log.error(describeFailure(error), 'audit.failed')
  })
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
