/** Size of the buffers that are used again, in bytes: one TLS record. */
const BUFFER_BYTES = 16 * 1024
/** Most buffers that are kept while nobody uses them: 4 MiB. */
const MAX_IDLE_BUFFERS = 256
/** Below this a buffer of its own costs less, in bytes. */
const SMALL_BYTES = 4 * 1024

/** A copy of a chunk, and what to call when it has been sent. */
export interface ChunkCopy {
  readonly bytes: Buffer
  readonly release: () => void
}

/**
 * Copies chunks into buffers that are used again. An upstream reads into the same memory each time, so that what
 * a slow client has not taken yet must be copied; without this every list would leave its own size in garbage.
 */
export class ChunkPool {
  readonly #idle: Buffer[] = []

  copy(chunk: Buffer): ChunkCopy {
    if (chunk.length < SMALL_BYTES || chunk.length > BUFFER_BYTES) {
      return { bytes: Buffer.from(chunk), release: nothing }
    }
    const buffer = this.#idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
    chunk.copy(buffer)
    return {
      bytes: buffer.subarray(0, chunk.length),
      release: () => {
        if (this.#idle.length < MAX_IDLE_BUFFERS) this.#idle.push(buffer)
      },
    }
  }
}

function nothing(): void {
  return
}
