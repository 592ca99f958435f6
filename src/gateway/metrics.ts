import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { CompletedRequest } from '../audit/audit-trail.ts'
import type { LiveStreams } from './live-streams.ts'
import type { SocketTable } from './socket-table.ts'

/** Verbs that Kubernetes knows; a client can make up others, and metrics must not grow with them. */
const VERBS = new Set(['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'head'])
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** A certificate that a listener presents. */
export interface CertificateOfListener {
  readonly listener: string
  /** First of the names that it is for. */
  readonly host: string
  /** Milliseconds since the epoch. */
  readonly notAfterMs: number
}

/** The connector's figures, for one Prometheus registry of its own. */
export class GatewayMetrics {
  readonly registry = new Registry()
  readonly #requests: Counter<'socket' | 'verb' | 'code' | 'decision'>
  readonly #duration: Histogram<'socket' | 'verb'>

  constructor() {
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry })
    this.#requests = new Counter({
      name: 'postern_requests_total',
      help: 'Requests by socket, verb, HTTP status code and decision.',
      labelNames: ['socket', 'verb', 'code', 'decision'],
      registers,
    })
    this.#duration = new Histogram({
      name: 'postern_request_duration_seconds',
      help: 'Seconds from the head of a request to the end of its response; watches and sessions are left out.',
      labelNames: ['socket', 'verb'],
      buckets: SECONDS,
      registers,
    })
  }

  readonly completed = (request: CompletedRequest): void => {
    const verb = VERBS.has(request.verb) ? request.verb : 'other'
    this.#requests.inc({ socket: request.socket, verb, code: request.code, decision: request.decision })
    if (!request.longRunning) this.#duration.observe({ socket: request.socket, verb }, request.durationMs / 1_000)
  }

  /** The policy revision in force, and whether the files on disk say something that cannot be used. */
  observePolicy(state: () => { readonly revision: string; readonly failing: boolean }): void {
    const registers = [this.registry]
    new Gauge({
      name: 'postern_policy_info',
      help: 'Always 1; the label is the policy revision in force.',
      labelNames: ['revision'],
      registers,
      collect() {
        this.reset()
        this.set({ revision: state().revision }, 1)
      },
    })
    new Gauge({
      name: 'postern_policy_reload_failing',
      help: '1 while the policy files on disk cannot be used and an older revision stays in force.',
      registers,
      collect() {
        this.set(state().failing ? 1 : 0)
      },
    })
  }

  /** The policies that are Kubernetes objects, and whether they are known as they are now. */
  observePolicyObjects(
    state: () => { readonly count: number; readonly refused: number; readonly stale: boolean },
  ): void {
    const registers = [this.registry]
    new Gauge({
      name: 'postern_policy_objects',
      help: 'Policies that are Kubernetes objects, by whether they are accepted.',
      labelNames: ['accepted'],
      registers,
      collect() {
        const { count, refused } = state()
        this.set({ accepted: 'true' }, count - refused)
        this.set({ accepted: 'false' }, refused)
      },
    })
    new Gauge({
      name: 'postern_policy_objects_stale',
      help: '1 while the policies that are Kubernetes objects cannot be read, and those last known stay in force.',
      registers,
      collect() {
        this.set(state().stale ? 1 : 0)
      },
    })
  }

  /** Whether the API servers answer to the connector's credentials. */
  observeReadiness(sockets: () => Iterable<{ readonly socket: string; readonly ready: boolean }>): void {
    new Gauge({
      name: 'postern_socket_ready',
      help: '1 while the API server of the socket answers to the credential of the connector.',
      labelNames: ['socket'],
      registers: [this.registry],
      collect() {
        for (const { socket, ready } of sockets()) this.set({ socket }, ready ? 1 : 0)
      },
    })
  }

  /** Whether the tokens of the issuers can be verified. */
  observeIssuers(issuers: () => Iterable<{ readonly issuer: string; readonly ready: boolean }>): void {
    new Gauge({
      name: 'postern_issuer_ready',
      help: '1 while the keys of the issuer are there.',
      labelNames: ['issuer'],
      registers: [this.registry],
      collect() {
        for (const { issuer, ready } of issuers()) this.set({ issuer }, ready ? 1 : 0)
      },
    })
  }

  /** When the certificates of the listeners end. */
  observeCertificates(certificates: () => readonly CertificateOfListener[]): void {
    new Gauge({
      name: 'postern_certificate_not_after_seconds',
      help: 'End of the certificate that a listener presents, in seconds since the epoch; host is the first that it is for.',
      labelNames: ['listener', 'host'],
      registers: [this.registry],
      collect() {
        this.reset()
        for (const { listener, host, notAfterMs } of certificates()) this.set({ listener, host }, notAfterMs / 1_000)
      },
    })
  }

  /** Whether recordings can be kept. */
  observeRecordings(writable: () => boolean): void {
    new Gauge({
      name: 'postern_recordings_writable',
      help: '1 while a recording that opens now would be kept; 0 refuses every session that must be recorded.',
      registers: [this.registry],
      collect() {
        this.set(writable() ? 1 : 0)
      },
    })
  }

  /** Gauges that are read when somebody asks. */
  observe(sockets: SocketTable, streams: LiveStreams): void {
    const registers = [this.registry]
    new Gauge({
      name: 'postern_live_streams',
      help: 'Watches, followed logs and sessions under way.',
      labelNames: ['kind'],
      registers,
      collect() {
        for (const kind of ['watch', 'stream', 'session'] as const) this.set({ kind }, streams.count(kind))
      },
    })
    new Gauge({
      name: 'postern_sessions',
      help: 'Sessions under way by kind, and whether they are recorded.',
      labelNames: ['kind', 'recorded'],
      registers,
      collect() {
        this.reset()
        for (const { facts, recorded } of streams.sessions.values())
          this.inc({ kind: facts.kind, recorded: String(recorded) })
      },
    })
    new Gauge({
      name: 'postern_upstream_connections',
      help: 'Open connections to the API server of each socket, idle ones included.',
      labelNames: ['socket'],
      registers,
      collect() {
        for (const { name, upstream } of sockets.sockets) this.set({ socket: name }, upstream.openConnections)
      },
    })
  }
}
