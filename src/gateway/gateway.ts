import { randomUUID } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'
import type { AuditEntry, AuditTrail } from '../audit/audit-trail.ts'
import type { Authentication, Authenticator } from '../identity/authenticator.ts'
import type { PresentedCertificate } from '../identity/presented-certificate.ts'
import { sourceAddresses } from '../kube/forwarded-for.ts'
import { type RawHeaders, headerValues } from '../kube/raw-headers.ts'
import { type Status, badRequest, serviceUnavailable } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import type { PolicyAuthorizer } from '../policy/policy-authorizer.ts'
import { admit, decideAgain } from './admission.ts'
import { ChunkPool } from './chunk-pool.ts'
import { CLIENT_CLOSED_REQUEST, type ForwardContext, forward } from './forward.ts'
import type { GatewayLimits } from './limits.ts'
import { type LiveStream, LiveStreams } from './live-streams.ts'
import { LoginExpiry } from './login-expiry.ts'
import type { Recordings } from './recordings.ts'
import type { Reply } from './reply.ts'
import { refusalOutcome, refuse, renderRefusal, toStatus } from './respond.ts'
import { noLongerAllowed, noLongerEntitled, noLongerInTime } from './session-endings.ts'
import { SessionSlots } from './session-slots.ts'
import { YoungGarbage } from './young-garbage.ts'
import { answerSelfReview, isSelfReview } from './self-review.ts'
import { refuseForeignOrigin } from './origin.ts'
import type { SocketTable } from './socket-table.ts'
import type { Authorized, Received } from './stages.ts'
import { writeAnswer } from './switch-protocols.ts'
import { type TunnelContext, tunnel } from './tunnel.ts'

/** What the pipeline is made of. All of it stays its owner's to close. */
export interface GatewayOptions {
  readonly sockets: SocketTable
  readonly authenticator: Authenticator
  /** Gives the policy revision in force. */
  readonly authorizer: () => PolicyAuthorizer
  readonly trail: AuditTrail
  /** Null when the connector keeps no recordings. */
  readonly recordings: Recordings | null
  readonly limits: GatewayLimits
  /** Whether an address is that of a proxy whose `X-Forwarded-For` is believed. */
  readonly isTrustedProxy: (address: string) => boolean
  /** Origin of the kubernetes listener, as browsers name it: `https://HOST[:PORT]`. */
  readonly origin: string
  /** Told of every refusal that is the gateway's or the upstream's fault, with what the client is not told. */
  readonly onFailure: (failure: RequestFailure) => void
}

/** A request that failed, and why. */
interface RequestFailure {
  readonly auditId: string
  /** Name of the socket; empty when none was reached. */
  readonly socket: string
  readonly error: unknown
}

/** A request at the door, whichever it came through. */
export interface Arrival {
  readonly method: string
  readonly target: string
  readonly authority: string
  readonly headers: RawHeaders
  /** Address of the other end of the connection, without port; empty when that is gone. */
  readonly peer: string
  /** What the client presented on the TLS connection; null when nothing, or when no certificates are taken. */
  readonly certificate: PresentedCertificate | null
  /** Whether a body may follow. */
  readonly bodyFollows: boolean
  /** Why it is refused whatever it asks for; empty when it is sound. */
  readonly fault: string
}

/** The account of a request, and who it came from. */
interface Begun {
  readonly audit: AuditEntry
  /** Address of the client, without port. */
  readonly sourceIP: string
}

/** How often streams are looked at that the policy allows for some time only, in milliseconds. */
const LOOK_EVERY_MS = 1_000

/** The one pipeline behind every door of the kubernetes listener. */
export class Gateway {
  readonly streams = new LiveStreams((stream) => {
    this.#opened(stream)
  })
  readonly #options: GatewayOptions
  readonly #forwardContext: ForwardContext
  readonly #tunnelContext: TunnelContext
  readonly #logins: LoginExpiry
  /** Who the senders of streams are by a newer credential of theirs. */
  readonly #senders = new WeakMap<LiveStream, Subject>()
  #lookTimer: NodeJS.Timeout | undefined
  readonly #settling = new Set<Promise<undefined>>()

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#logins = new LoginExpiry(options.limits.expiredTokenGraceMs, (authentication) => {
      this.#applyIdentity(authentication)
    })
    const chunks = new ChunkPool()
    this.#forwardContext = {
      streams: this.streams,
      logins: this.#logins,
      chunks,
      responseHeadTimeoutMs: options.limits.responseHeadTimeoutMs,
      onFailure: (error, audit) => {
        this.#report(error, audit)
      },
    }
    this.#tunnelContext = {
      streams: this.streams,
      slots: new SessionSlots(),
      garbage: new YoungGarbage(),
      chunks,
      logins: this.#logins,
      recordings: options.recordings,
      upgradeTimeoutMs: options.limits.upgradeTimeoutMs,
      onRecordingFailure: (auditId, error) => {
        options.onFailure({ auditId, socket: '', error })
      },
      settle: (settled) => {
        this.#settling.add(settled)
        void settled.then(() => this.#settling.delete(settled))
      },
    }
  }

  /** Resolves when every session that is open now is over, and its account written. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#settling)
  }

  /** Ends the streams under way that the revision in force no longer allows. */
  applyRevision(): void {
    this.streams.end((stream) => this.#withdrawn(stream, noLongerAllowed))
  }

  /** Serves a plain request to its end. Never rejects. */
  async serve(door: 'request' | 'stream', head: Arrival, body: Readable, reply: Reply): Promise<void> {
    const begun = this.#begin(head)
    const { audit } = begun
    const authorizer = this.#options.authorizer()
    try {
      const authorized = await this.#admit(door, head, begun, authorizer)
      if (isSelfReview(authorized)) await answerSelfReview(authorized, body, reply, authorizer)
      else forward(authorized, body, reply, this.#forwardContext)
    } catch (error) {
      this.#report(error, audit)
      refuse(reply, error, audit, head.bodyFollows)
    }
  }

  /** Serves a request to upgrade to its end, on the client's own socket. Never rejects. */
  async serveUpgrade(head: Arrival, client: Duplex, early: Buffer): Promise<void> {
    const begun = this.#begin(head)
    const { audit } = begun
    try {
      if (early.length > 0) throw badRequest('bytes follow the request to upgrade')
      refuseForeignOrigin(head.headers, this.#options.origin)
      const authorized = await this.#admit('upgrade', head, begun, this.#options.authorizer())
      await tunnel(authorized, client, this.#tunnelContext)
    } catch (error) {
      if (!client.writable) {
        client.destroy()
        audit.complete({ code: CLIENT_CLOSED_REQUEST })
        return
      }
      this.#report(error, audit)
      const status = toStatus(error)
      audit.complete(refusalOutcome(status))
      writeAnswer(client, renderRefusal(status, audit.auditId))
    }
  }

  /** Answers bytes that are no request, on the client's own socket. */
  refuseUnreadable(status: Status, peer: string, client: Duplex): void {
    const { audit } = this.#begin({ target: '', peer, headers: [] })
    audit.complete(refusalOutcome(status))
    writeAnswer(client, renderRefusal(status, audit.auditId))
  }

  #begin({ target, peer, headers }: Pick<Arrival, 'target' | 'peer' | 'headers'>): Begun {
    const sourceIPs = sourceAddresses(peer, headers, this.#options.isTrustedProxy)
    const audit = this.#options.trail.begin({
      auditId: randomUUID(),
      requestURI: target,
      sourceIPs,
      userAgent: headerValues(headers, 'user-agent')[0] ?? '',
      receivedAtMs: Date.now(),
    })
    return { audit, sourceIP: sourceIPs[0] }
  }

  async #admit(
    door: Received['door'],
    head: Arrival,
    { audit, sourceIP }: Begun,
    authorizer: PolicyAuthorizer,
  ): Promise<Authorized> {
    if (head.fault !== '') throw badRequest(head.fault)
    const { sockets, trail, authenticator } = this.#options
    const { socket, prefix, rawTarget } = sockets.route(head.target, head.authority)
    audit.routed(socket.name)
    if (!trail.writable) {
      throw serviceUnavailable('the audit trail cannot be written, so nothing is let through')
    }
    const { method, headers, certificate, bodyFollows } = head
    const received = {
      audit,
      socket,
      prefix,
      method,
      rawTarget,
      headers,
      certificate,
      sourceIP,
      door,
      bodyFollows,
      receivedAtMs: Date.now(),
    }
    return admit(received, authenticator, authorizer, (authentication) => {
      this.#logins.seen(authentication)
    })
  }

  /** The revision may have changed while what was admitted under the one before was on its way. */
  #opened(stream: LiveStream): void {
    this.#lookTimer ??= setInterval(() => {
      this.#applyTime()
    }, LOOK_EVERY_MS).unref()
    if (stream.authorized.decision.policyRevision === this.#options.authorizer().revision) return
    const status = this.#withdrawn(stream, noLongerAllowed)
    if (status !== null) stream.end(status)
  }

  /** Ends the streams under way for which the time is over, and looks no longer when there are none. */
  #applyTime(): void {
    if (this.streams.size === 0) {
      clearInterval(this.#lookTimer)
      this.#lookTimer = undefined
      return
    }
    const authorizer = this.#options.authorizer()
    this.streams.end((stream) => {
      const { socket, subject } = stream.authorized.authenticated
      const subjects = [this.#senderOf(stream), subject]
      if (!subjects.some((one) => authorizer.dependsOnTime(one, socket.name))) return null
      return this.#withdrawn(stream, noLongerInTime)
    })
  }

  /** Ends the streams under way that the policy no longer allows to who their person is by now. */
  #applyIdentity({ issuer, subject }: Authentication): void {
    this.streams.end((stream) => {
      const { authentication } = stream.authorized.authenticated
      if (authentication.issuer !== issuer || authentication.subject.username !== subject.username) return null
      this.#senders.set(stream, subject)
      return this.#withdrawn(stream, noLongerEntitled)
    })
  }

  /** What the person is told whose stream the policy in force no longer allows; null while it does. */
  #withdrawn(stream: LiveStream, told: (reason: string) => Status): Status | null {
    const { authenticated } = stream.authorized
    const decision = decideAgain(authenticated, this.#senderOf(stream), this.#options.authorizer(), Date.now())
    return decision.effect === 'allow' ? null : told(decision.reason)
  }

  #senderOf(stream: LiveStream): Subject {
    return this.#senders.get(stream) ?? stream.authorized.authenticated.authentication.subject
  }

  #report(error: unknown, audit: AuditEntry): void {
    if (toStatus(error).code >= 500) this.#options.onFailure({ auditId: audit.auditId, socket: audit.socket, error })
  }
}
