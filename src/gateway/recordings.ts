import type { SessionFacts } from '../audit/recording/session-facts.ts'
import type { SessionRecorder } from '../audit/recording/session-recorder.ts'

/** Opens the recordings of sessions. */
export interface Recordings {
  /** Whether a recording opened now would be kept. */
  readonly writable: boolean
  /**
   * @param input whether what is typed is recorded too.
   * @throws when the recording cannot be kept.
   */
  open(
    facts: SessionFacts,
    input: boolean,
    events: {
      /** What was recorded can no longer be kept. At most once. */
      readonly onFailure: (error: Error) => void
      /** The recorder is no longer backlogged. */
      readonly onDrain: () => void
    },
  ): Promise<SessionRecorder>
  /** Forgets a finished recording of a session that never opened. Never rejects. */
  discard(id: string): Promise<void>
}
