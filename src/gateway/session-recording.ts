import type { SessionFacts } from '../audit/recording/session-facts.ts'
import type { SessionRecorder } from '../audit/recording/session-recorder.ts'
import { serviceUnavailable } from '../kube/status.ts'
import type { Recordings } from './recordings.ts'
import type { Session } from './session.ts'

/**
 * The recording of one session: opened before anything of it happens, finished when it is over. One that is only
 * attempted (`best-effort`) may fail, which {@link finish} then tells.
 */
export class SessionRecording {
  readonly #facts: SessionFacts
  readonly #recordings: Recordings | null
  readonly #onFailure: (error: unknown) => void
  #recorder: SessionRecorder | null = null
  #session: Session | null = null
  #attempted = false
  #failed = false

  constructor(facts: SessionFacts, recordings: Recordings | null, onFailure: (error: unknown) => void) {
    this.#facts = facts
    this.#recordings = recordings
    this.#onFailure = onFailure
  }

  /** Null when nothing is recorded. */
  get recorder(): SessionRecorder | null {
    return this.#recorder
  }

  /** @throws StatusError 503 when the session must be recorded and cannot be. */
  async open(input: boolean): Promise<void> {
    this.#attempted = true
    try {
      if (this.#recordings === null) throw serviceUnavailable('the connector keeps no recordings')
      this.#recorder = await this.#recordings.open(this.#facts, input, {
        onFailure: (error) => {
          this.#fail(error)
          this.#session?.recordingFailed()
        },
        onDrain: () => {
          this.#session?.drained()
        },
      })
    } catch (error) {
      this.#fail(error)
    }
    this.requireKept()
  }

  /** @throws StatusError 503 when the session must be recorded and its recording failed. */
  requireKept(): void {
    if (this.#failed && this.#facts.record === 'required')
      throw serviceUnavailable('this session must be recorded, and its recording cannot be kept')
  }

  /** Whom to tell of a failure from here on. */
  observedBy(session: Session): void {
    this.#session = session
  }

  /** What to note of it in the audit trail: the hash of its manifest, `failed` or `off`. Never rejects. */
  async finish(endedBy: string): Promise<string> {
    if (!this.#attempted) return 'off'
    try {
      const hash = await this.#recorder?.finish(endedBy)
      return this.#failed || hash === undefined ? 'failed' : hash
    } catch (error) {
      this.#fail(error)
      return 'failed'
    }
  }

  /** Forgets the recording of a session that did not come about. Never rejects. */
  async discard(): Promise<void> {
    if (this.#recorder === null) return
    await this.finish('the session did not open')
    await this.#recordings?.discard(this.#facts.id)
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#onFailure(error)
  }
}
