import type { SessionKind } from '../../kube/session-kind.ts'

/** What is known of a session when it opens. */
export interface SessionFacts {
  /** A random UUID; the recording's id too. */
  readonly id: string
  readonly kind: SessionKind
  readonly socket: string
  readonly namespace: string
  readonly pod: string
  /** Empty when the pod's default container was meant, and for a port-forward. */
  readonly container: string
  /** The argv of an exec; empty for the others. */
  readonly command: readonly string[]
  readonly tty: boolean
  readonly stdin: boolean
  readonly protocol: 'SPDY/3.1' | 'websocket'
  /** What was agreed to speak; empty before that, and where nothing was. */
  readonly subprotocol: string
  /** Who opened it. */
  readonly username: string
  readonly groups: readonly string[]
  /** Whom the sender acts as (`kubectl --as`); empty when as themselves. */
  readonly impersonatedUsername: string
  readonly sourceIP: string
  readonly userAgent: string
  readonly auditId: string
  /** The rule that allowed it, `POLICY#N`. */
  readonly rule: string
  readonly policyRevision: string
  /** What was demanded. */
  readonly record: 'required' | 'best-effort' | 'off'
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number
}
