import type { SessionFacts } from '../audit/recording/session-facts.ts'

/** A session under way, as the portal shows it. */
export interface PortalSession {
  readonly facts: SessionFacts
  /** When payload last passed, in milliseconds since the epoch. */
  readonly lastActivityAtMs: number
  /** Bytes of payload towards the pod. */
  readonly sentBytes: number
  /** Bytes of payload from the pod. */
  readonly receivedBytes: number
  /** Whether it is being recorded, so that it can be followed. */
  readonly recorded: boolean
  /** Ends it. `reason` is one printable sentence for the person whose session it is. */
  end(reason: string): void
  /**
   * Tells the listener the lines of the session's asciicast from now on, each with its newline, the header first; at the
   * end null. Returns the function that stops it; null when nothing records the session.
   */
  follow(listener: (line: string | null) => void): (() => void) | null
}

/** The sessions under way. */
export interface PortalSessions {
  /** In the order of their opening. */
  list(): readonly PortalSession[]
  find(id: string): PortalSession | undefined
}
