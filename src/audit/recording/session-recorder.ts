import type { PortForwardObserver, RemoteCommandObserver } from '../../kube/session/session-decoder.ts'

/** Records one session. It is the observer of the session's decoder. */
export interface SessionRecorder {
  /** For an exec or attach; tells nothing of a port-forward. */
  readonly remoteCommand: RemoteCommandObserver
  /** For a port-forward. */
  readonly portForward: PortForwardObserver
  /** Whether more waits to be kept than may: the relay pauses then until the drain. */
  readonly backlogged: boolean
  /** What the two sides agreed to speak, told before anything passes. */
  agreed(subprotocol: string): void
  /** Notes, best-effort only, that from here on something is missing, and why. */
  incomplete(reason: string): void
  /**
   * Follows along: the listener is told the asciicast's header line, the current size as a resize event, and every
   * line from now on, each with its newline; at the end null. Returns the function that stops it.
   */
  follow(listener: (line: string | null) => void): () => void
  /** Ends the recording. Resolves to the `sha256:…` of its manifest. @throws when it cannot be kept. */
  finish(endedBy: string): Promise<string>
}
