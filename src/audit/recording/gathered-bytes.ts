/** Bytes that are put together at most. */
export const MAX_GATHERED_BYTES = 64 * 1024

/** Puts chunks together. It takes as much memory as was ever gathered at once. */
export class GatheredBytes {
  #memory = Buffer.alloc(0)
  #byteLength = 0

  get isEmpty(): boolean {
    return this.#byteLength === 0
  }

  /** Whether so many more bytes may be added. */
  fits(byteLength: number): boolean {
    return this.#byteLength + byteLength <= MAX_GATHERED_BYTES
  }

  add(chunk: Uint8Array): void {
    const byteLength = this.#byteLength + chunk.length
    if (this.#memory.length < byteLength) {
      const grown = Buffer.allocUnsafeSlow(Math.min(MAX_GATHERED_BYTES, 2 * byteLength))
      grown.set(this.#memory.subarray(0, this.#byteLength))
      this.#memory = grown
    }
    this.#memory.set(chunk, this.#byteLength)
    this.#byteLength = byteLength
  }

  /** What was gathered, valid until more is added. */
  take(): Uint8Array {
    const gathered = this.#memory.subarray(0, this.#byteLength)
    this.#byteLength = 0
    return gathered
  }
}
