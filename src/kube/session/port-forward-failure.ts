import type { PayloadSink } from './payload-sink.ts'

/** How much is kept of what the server says on an error stream, in bytes. */
const MAX_FAILURE_BYTES = 1024

/** Gathers what the server says of a connection that failed, until it has said it. */
export class FailureText implements PayloadSink {
  readonly wanted = true
  readonly #told: (message: string) => void
  #text = Buffer.alloc(0)

  constructor(told: (message: string) => void) {
    this.#told = told
  }

  passed(): void {
    // Only what is said counts.
  }

  data(chunk: Uint8Array): void {
    const free = MAX_FAILURE_BYTES - this.#text.length
    if (free > 0) this.#text = Buffer.concat([this.#text, chunk.subarray(0, free)])
  }

  ended(): void {
    if (this.#text.length === 0) return
    const whole = this.#text.length < MAX_FAILURE_BYTES
    const message = whole ? this.#text.toString() : this.#text.toString().replace(/\uFFFD+$/u, '')
    this.#text = Buffer.alloc(0)
    this.#told(message)
  }
}
