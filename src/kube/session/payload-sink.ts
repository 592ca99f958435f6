import { UndecodableError } from './session-decoder.ts'

/** Takes what one side sends on one stream. Both kinds of frames hand it over in this way. */
export interface PayloadSink {
  /** Whether the payload itself is asked for; the lengths always are. */
  readonly wanted: boolean
  /** @throws UndecodableError where the side may send nothing. */
  passed(byteLength: number): void
  /** After {@link passed}, when wanted: a view that is valid only during the call. */
  data(chunk: Uint8Array): void
  /** The side closed the stream. May be called again. */
  ended(): void
}

/** For a side that has nothing to send on a stream; it may close it. */
export function refusedPayload(what: string): PayloadSink {
  return {
    wanted: false,
    passed(byteLength) {
      if (byteLength > 0) throw new UndecodableError(`${what} carries data in the wrong direction`)
    },
    data: () => undefined,
    ended: () => undefined,
  }
}
