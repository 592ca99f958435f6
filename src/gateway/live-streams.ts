import type { Authorized } from './stages.ts'

/** A response or tunnel that has no end of its own: a watch, a followed log, an exec, a port-forward. */
export interface LiveStream {
  readonly authorized: Authorized
  /** `watch` may be ended at any event and is then taken up again by the client; the others are cut off. */
  readonly kind: 'watch' | 'stream' | 'session'
  /** Ends it now, cleanly where the protocol has a clean end. */
  end(): void
}

/** Every long-running stream under way, so that each can be found and ended. */
export class LiveStreams {
  readonly #streams = new Set<LiveStream>()

  get size(): number {
    return this.#streams.size
  }

  /** Returns the function that forgets the stream again. */
  add(stream: LiveStream): () => void {
    this.#streams.add(stream)
    return () => {
      this.#streams.delete(stream)
    }
  }

  count(kind: LiveStream['kind']): number {
    let count = 0
    for (const stream of this.#streams) if (stream.kind === kind) count += 1
    return count
  }

  /** Ends the streams that the predicate picks. */
  end(picks: (stream: LiveStream) => boolean): void {
    for (const stream of [...this.#streams]) if (picks(stream)) stream.end()
  }
}
