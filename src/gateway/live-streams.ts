import type { SessionFacts } from '../audit/recording/session-facts.ts'
import type { Status } from '../kube/status.ts'
import type { Authorized } from './stages.ts'

/** A response or tunnel that has no end of its own: a watch, a followed log, an exec, a port-forward. */
export interface LiveStream {
  readonly authorized: Authorized
  /** `watch` may be ended at any event and is then taken up again by the client; the others are cut off. */
  readonly kind: 'watch' | 'stream' | 'session'
  /** Ends it: cleanly where the protocol has a clean end, and with the status where it can carry one. */
  end(status: Status): void
}

/** An exec, attach or port-forward under way. */
export interface LiveSession extends LiveStream {
  readonly kind: 'session'
  readonly facts: SessionFacts
  /** When payload last passed, in milliseconds since the epoch. */
  readonly lastActivityAtMs: number
  /** Bytes of payload towards the pod. */
  readonly sentBytes: number
  /** Bytes of payload from the pod. */
  readonly receivedBytes: number
  /** Whether it is being recorded, so that it can be followed. */
  readonly recorded: boolean
  /** Follows along as {@link SessionRecorder.follow} does; null when nothing records the session. */
  follow(listener: (line: string | null) => void): (() => void) | null
}

/** Every long-running stream under way, so that each can be found and ended. */
export class LiveStreams {
  readonly #streams = new Set<LiveStream>()
  readonly #sessions = new Map<string, LiveSession>()
  readonly #onAdded: (stream: LiveStream) => void

  /** @param onAdded told of each stream once whoever opened it is done with that. */
  constructor(onAdded: (stream: LiveStream) => void = () => undefined) {
    this.#onAdded = onAdded
  }

  get size(): number {
    return this.#streams.size
  }

  /** Returns the function that forgets the stream again. */
  add(stream: LiveStream): () => void {
    this.#streams.add(stream)
    setImmediate(() => {
      if (this.#streams.has(stream)) this.#onAdded(stream)
    })
    return () => {
      this.#streams.delete(stream)
    }
  }

  /** Likewise, and lists it among the sessions. */
  addSession(session: LiveSession): () => void {
    const forget = this.add(session)
    this.#sessions.set(session.facts.id, session)
    return () => {
      forget()
      this.#sessions.delete(session.facts.id)
    }
  }

  /** In the order of their opening. */
  get sessions(): ReadonlyMap<string, LiveSession> {
    return this.#sessions
  }

  count(kind: LiveStream['kind']): number {
    let count = 0
    for (const stream of this.#streams) if (stream.kind === kind) count += 1
    return count
  }

  /** Ends the streams for which the function gives a status. */
  end(why: (stream: LiveStream) => Status | null): void {
    for (const stream of [...this.#streams]) {
      const status = why(stream)
      if (status !== null) stream.end(status)
    }
  }
}
