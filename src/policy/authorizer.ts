import type { RequestInfo } from '../kube/request-info.ts'
import type { Subject } from '../kube/subject.ts'

/** What an authorizer sees of a request: who asks what of which socket, from where and when. */
export interface Attributes {
  readonly subject: Subject
  readonly requestInfo: RequestInfo
  /** Name of the socket. */
  readonly socket: string
  /** Address of the client, as text without a port. */
  readonly sourceIP: string
  /** Milliseconds since the epoch. */
  readonly atMs: number
}

/** What an allow demands of a session (exec, attach, port-forward). Absent means the socket's default. */
export interface Obligations {
  readonly record?: 'required' | 'best-effort' | 'off'
  readonly maxDurationMs?: number
  readonly idleTimeoutMs?: number
  /** Sessions of one subject by the rule that decided, at a time. */
  readonly maxConcurrent?: number
}

/** A rule that came close to allowing, and what kept it from doing so. */
export interface NearestRule {
  /** `POLICY#N`, N counting from 1. */
  readonly rule: string
  /** `FILE:LINE`, or `KIND/NAME: PATH` of a Kubernetes object. */
  readonly location: string
  /** One phrase for each thing the rule lacks, such as `verb "delete"` or `namespace "payments"`. Never empty. */
  readonly missing: readonly string[]
}

/**
 * What the policy says of a request. `no-opinion` is a denial too: no rule allowed it.
 *
 * `nearest` may name only rules that concern the subject, since it is shown to them.
 */
export interface Decision {
  readonly effect: 'allow' | 'deny' | 'no-opinion'
  /** The rule that decided, `POLICY#N`, N counting from 1; empty for `no-opinion`. */
  readonly rule: string
  /** `FILE:LINE` of that rule, or `KIND/NAME: PATH` of a Kubernetes object; empty for `no-opinion`. */
  readonly location: string
  /** `sha256:…` of the whole policy in force. */
  readonly policyRevision: string
  /** One sentence without a full stop, for people. */
  readonly reason: string
  /** Nearest first, at most three; empty when allowed. */
  readonly nearest: readonly NearestRule[]
  readonly obligations: Obligations
}

/** One immutable revision of the policy. A request keeps the one it began with. */
export interface Authorizer {
  /** `sha256:…`. */
  readonly revision: string
  /**
   * Pure and synchronous. Nothing is sent upstream after a throw.
   *
   * @throws StatusError 503 while policies are missing. Any other throw is a bug, which the caller answers with 500.
   */
  authorize(attributes: Attributes): Decision
  /**
   * Whether time alone can change what the subject may do on this socket: whether a policy that concerns them there has
   * `timeOfDay`, `weekdays`, `notBefore` or `notAfter`. Cheap, and the same for as long as the revision is in force.
   */
  dependsOnTime(subject: Subject, socket: string): boolean
}
