import { createHash } from 'node:crypto'
import type { RecordedChunk } from '../recording/recording-manifest.ts'

/** Bytes of every chunk but the last. */
export const CHUNK_BYTES = 256 * 1024

/** Hashes a stored asciicast chunk by chunk. Where the chunks end depends on the bytes alone, not on how they come. */
export class ChunkHashes {
  readonly #whole: RecordedChunk[] = []
  #hash = createHash('sha256')
  #byteLength = 0

  update(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length;) {
      const part = bytes.subarray(offset, offset + CHUNK_BYTES - this.#byteLength)
      this.#hash.update(part)
      this.#byteLength += part.length
      offset += part.length
      if (this.#byteLength === CHUNK_BYTES) this.#end()
    }
  }

  /** The chunks of what was hashed so far. */
  chunks(): readonly RecordedChunk[] {
    if (this.#byteLength === 0) return [...this.#whole]
    return [...this.#whole, chunk(this.#byteLength, this.#hash.copy().digest('hex'))]
  }

  #end(): void {
    this.#whole.push(chunk(this.#byteLength, this.#hash.digest('hex')))
    this.#hash = createHash('sha256')
    this.#byteLength = 0
  }
}

function chunk(byteLength: number, digest: string): RecordedChunk {
  return { byteLength, hash: `sha256:${digest}` }
}
