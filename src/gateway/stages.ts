import type { Decision, Obligations } from '../policy/authorizer.ts'
import type { Authentication } from '../identity/authenticator.ts'
import type { PresentedCertificate } from '../identity/presented-certificate.ts'
import type { ParsedRequest } from '../kube/parsed-request.ts'
import type { RawHeaders } from '../kube/raw-headers.ts'
import type { RequestHead } from '../kube/request-headers.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import type { Subject } from '../kube/subject.ts'
import type { Upgrade } from '../kube/upgrade.ts'
import type { AuditEntry } from '../audit/audit-trail.ts'
import type { Socket } from './socket-table.ts'

/** A request as it came in, with the socket that it names. */
export interface Received {
  readonly audit: AuditEntry
  readonly socket: Socket
  /** Path prefix under which the client reaches the socket, such as `/sockets/production`; may be empty. */
  readonly prefix: string
  readonly method: string
  /** Raw target, the prefix cut off. */
  readonly rawTarget: string
  /** Without HTTP/2 pseudo headers. */
  readonly headers: RawHeaders
  /** What the client presented on the TLS connection; null when nothing, or when no certificates are taken. */
  readonly certificate: PresentedCertificate | null
  /** Address of the client, without port: the first of the event's `sourceIPs`. */
  readonly sourceIP: string
  /** `upgrade` asks to switch protocols; `stream` is HTTP/2, whose bodies need no announced length. */
  readonly door: 'request' | 'upgrade' | 'stream'
  /** Whether a body may follow the head. */
  readonly bodyFollows: boolean
  /** Milliseconds since the epoch. */
  readonly receivedAtMs: number
}

/** A request whose meaning is known. */
export interface Parsed extends Received {
  readonly request: ParsedRequest
  /** What the policy decides on: {@link ParsedRequest.requestInfo}, but one verb for exec, attach and port-forward. */
  readonly infoToAuthorize: RequestInfo
  /** What of the client's head goes on, and the framing of the body. */
  readonly head: RequestHead
  /** Undefined for a plain request. */
  readonly upgrade: Upgrade | undefined
}

/** A request whose sender is known. */
export interface Authenticated extends Parsed {
  readonly authentication: Authentication
  /** What the sender has to be allowed so that they may be the subject; empty when they are. */
  readonly assumption: readonly RequestInfo[]
  /** Whom the request is decided and forwarded as: the sender, or whom they were allowed to assume (`kubectl --as`). */
  readonly subject: Subject
}

/**
 * A request that the policy allows. Only {@link Authorized.from} makes one, and only of an allowing
 * decision, so a function that takes an `Authorized` cannot be handed a request that was not decided.
 */
export class Authorized {
  readonly #brand = true
  readonly authenticated: Authenticated
  readonly decision: Decision
  readonly obligations: Obligations

  private constructor(authenticated: Authenticated, decision: Decision) {
    this.authenticated = authenticated
    this.decision = decision
    this.obligations = decision.obligations
    Object.freeze(this)
  }

  /** @throws TypeError when the decision does not allow. */
  static from(authenticated: Authenticated, decision: Decision): Authorized {
    if (decision.effect !== 'allow') throw new TypeError(`a decision of ${decision.effect} authorizes nothing`)
    return new Authorized(authenticated, decision)
  }

  /** Whether a value is an `Authorized` that {@link Authorized.from} made. */
  static is(value: unknown): value is Authorized {
    return typeof value === 'object' && value !== null && #brand in value
  }
}
