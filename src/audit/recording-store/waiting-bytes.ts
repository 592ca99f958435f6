/** Bytes of a part. */
const PART_BYTES = 256 * 1024
/** Parts that are kept while nobody needs them: 4 MiB. */
const MAX_IDLE_PARTS = 16

/** Memory that is used again by every recording of a store, so that what is recorded leaves no garbage of its own size. */
export class PartPool {
  readonly #idle: Buffer[] = []

  take(byteLength: number): Buffer {
    if (byteLength > PART_BYTES) return Buffer.allocUnsafeSlow(byteLength)
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(PART_BYTES)
  }

  give(part: Buffer): void {
    if (part.length === PART_BYTES && this.#idle.length < MAX_IDLE_PARTS) this.#idle.push(part)
  }
}

interface Part {
  readonly memory: Buffer
  byteLength: number
}

/** What was appended and is not written yet, in order, copied together into parts. */
export class WaitingBytes {
  readonly #pool: PartPool
  readonly #parts: Part[] = []
  #byteLength = 0

  constructor(pool: PartPool) {
    this.#pool = pool
  }

  get byteLength(): number {
    return this.#byteLength
  }

  add(lines: string | Uint8Array): void {
    const byteLength = typeof lines === 'string' ? Buffer.byteLength(lines) : lines.length
    const part = this.#room(byteLength)
    if (typeof lines === 'string') part.memory.write(lines, part.byteLength)
    else part.memory.set(lines, part.byteLength)
    part.byteLength += byteLength
    this.#byteLength += byteLength
  }

  /** Hands all parts to `write`, whose memory they are until that resolves. They no longer wait then. */
  async drain(write: (parts: Buffer[]) => Promise<void>): Promise<void> {
    const parts = this.#parts.splice(0)
    if (parts.length === 0) return
    await write(parts.map(({ memory, byteLength }) => memory.subarray(0, byteLength)))
    for (const { memory, byteLength } of parts) {
      this.#byteLength = Math.max(0, this.#byteLength - byteLength)
      this.#pool.give(memory)
    }
  }

  clear(): void {
    for (const { memory } of this.#parts.splice(0)) this.#pool.give(memory)
    this.#byteLength = 0
  }

  #room(byteLength: number): Part {
    const last = this.#parts.at(-1)
    if (last !== undefined && last.memory.length - last.byteLength >= byteLength) return last
    const part = { memory: this.#pool.take(byteLength), byteLength: 0 }
    this.#parts.push(part)
    return part
  }
}
