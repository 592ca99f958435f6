import type { RequestInfo } from '../kube/request-info.ts'
import type { Subject } from '../kube/subject.ts'
import type { AuditSink } from './audit-sink.ts'
import { type AuditedOutcome, renderEvent, renderSubject } from './event.ts'

/** What is known of a request when its head has arrived. */
export interface AuditedArrival {
  /** A UUID; also sent upstream as `Audit-ID`, so that both logs join. */
  readonly auditId: string
  /** The raw target as received. */
  readonly requestURI: string
  /** Where it came from: the client's address, and behind it those of trusted proxies, the nearest last. */
  readonly sourceIPs: readonly string[]
  /** Empty when the client sent none. */
  readonly userAgent: string
  /** Milliseconds since the epoch. */
  readonly receivedAtMs: number
}

/** What the policy said, in the words of the event's annotations. */
export interface AuditedDecision {
  readonly effect: 'allow' | 'deny' | 'no-opinion'
  readonly rule: string
  readonly policyRevision: string
  readonly reason: string
}

/** What a finished request amounts to, for metrics. */
export interface CompletedRequest {
  /** Empty when none was found. */
  readonly socket: string
  readonly verb: string
  readonly code: number
  readonly decision: 'allow' | 'deny' | 'no-opinion' | 'none'
  readonly durationMs: number
  /** Whether it was a watch, a followed log or a session. */
  readonly longRunning: boolean
}

interface TrailOptions {
  readonly sink: AuditSink
  /** Whether stage RequestReceived is written too. */
  readonly requestReceived: boolean
  readonly onComplete?: (request: CompletedRequest) => void
  readonly now?: () => number
}

/**
 * The account of one request, told as it proceeds. Writes at most one event for each stage, and
 * ResponseComplete exactly once: whoever calls {@link complete} first tells how it ended.
 */
export class AuditEntry {
  readonly #arrival: AuditedArrival
  readonly #trail: AuditTrail
  readonly #options: TrailOptions
  #socket = ''
  #requestURI: string
  #requestInfo: RequestInfo | null = null
  #user = '{}'
  #impersonatedUser = ''
  #decision: AuditedDecision | null = null
  #session = ''
  #recording = ''
  #logins = ''
  #stage: 'arrived' | 'started' | 'complete' = 'arrived'

  constructor(trail: AuditTrail, options: TrailOptions, arrival: AuditedArrival) {
    this.#trail = trail
    this.#options = options
    this.#arrival = arrival
    this.#requestURI = arrival.requestURI
  }

  get auditId(): string {
    return this.#arrival.auditId
  }

  /** Name of the socket that the request went to; empty before that is known. */
  get socket(): string {
    return this.#socket
  }

  routed(socket: string): void {
    this.#socket = socket
  }

  /** Stage RequestReceived. `requestURI` is the target as it will be forwarded. */
  parsed(requestInfo: RequestInfo, requestURI: string): void {
    this.#requestInfo = requestInfo
    this.#requestURI = requestURI
    if (this.#options.requestReceived) this.#write('RequestReceived', null)
  }

  identified(subject: Subject): void {
    this.#user = this.#trail.userOf(subject)
  }

  /** Whom the sender acts as from here on. */
  assumed(subject: Subject): void {
    this.#impersonatedUser = renderSubject(subject)
  }

  decided(decision: AuditedDecision): void {
    this.#decision = decision
  }

  /** The id of the session that this request opened. */
  opened(session: string): void {
    this.#session = session
  }

  /** What became of the session's recording: the hash of its manifest, `failed`, or `off`. */
  recorded(recording: string): void {
    this.#recording = recording
  }

  /** Ids of the logins that this request ended. */
  loggedOut(logins: readonly string[]): void {
    this.#logins = logins.join(',')
  }

  /** Stage ResponseStarted: the head of a long-running response went out. */
  started(statusCode: number): void {
    if (this.#stage !== 'arrived') return
    this.#stage = 'started'
    this.#write('ResponseStarted', { code: statusCode })
  }

  /** Stage ResponseComplete. Later calls do nothing. */
  complete(outcome: AuditedOutcome): void {
    if (this.#stage === 'complete') return
    const longRunning = this.#stage === 'started'
    this.#stage = 'complete'
    const atMs = this.#write('ResponseComplete', outcome)
    this.#options.onComplete?.({
      socket: this.#socket,
      verb: this.#requestInfo?.verb ?? '',
      code: outcome.code,
      decision: this.#decision?.effect ?? 'none',
      durationMs: atMs - this.#arrival.receivedAtMs,
      longRunning,
    })
  }

  #write(stage: 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete', outcome: AuditedOutcome | null): number {
    const atMs = (this.#options.now ?? Date.now)()
    const { auditId, sourceIPs, userAgent, receivedAtMs } = this.#arrival
    this.#options.sink.write(
      renderEvent({
        stage,
        auditId,
        sourceIPs,
        userAgent,
        receivedAtMs,
        requestURI: this.#requestURI,
        requestInfo: this.#requestInfo,
        user: this.#user,
        impersonatedUser: this.#impersonatedUser,
        annotations: this.#annotations(),
        outcome,
        atMs,
      }),
    )
    return atMs
  }

  #annotations(): string[] {
    const annotations: string[] = []
    if (this.#socket !== '') annotations.push('postern.dev/socket', this.#socket)
    const decision = this.#decision
    if (decision !== null) {
      annotations.push(
        'authorization.k8s.io/decision',
        decision.effect === 'allow' ? 'allow' : 'forbid',
        'authorization.k8s.io/reason',
        decision.reason,
        'postern.dev/decision',
        decision.effect,
        'postern.dev/policy-revision',
        decision.policyRevision,
      )
      if (decision.rule !== '') annotations.push('postern.dev/rule', decision.rule)
    }
    if (this.#session !== '') annotations.push('postern.dev/session', this.#session)
    if (this.#recording !== '') annotations.push('postern.dev/recording', this.#recording)
    if (this.#logins !== '') annotations.push('postern.dev/logins', this.#logins)
    return annotations
  }
}

/** Opens the account of each request. The sink stays its owner's to close. */
export class AuditTrail {
  readonly #options: TrailOptions
  readonly #users = new WeakMap<Subject, string>()

  constructor(options: TrailOptions) {
    this.#options = options
  }

  /** False while events cannot be kept: the queue is full or the sink fails. Requests are then refused with 503. */
  get writable(): boolean {
    return this.#options.sink.writable
  }

  begin(arrival: AuditedArrival): AuditEntry {
    return new AuditEntry(this, this.#options, arrival)
  }

  /** The `user` field for a subject, rendered once for each. */
  userOf(subject: Subject): string {
    let user = this.#users.get(subject)
    if (user === undefined) {
      user = renderSubject(subject)
      this.#users.set(subject, user)
    }
    return user
  }
}
