/** Most bytes that are revealed at a time. */
export const MAX_REVEALED_BYTES = 64 * 1024

const ALIGNMENT = Uint32Array.BYTES_PER_ELEMENT
/** Below this many bytes a view costs more than it saves. */
const FEW_BYTES = 64

/**
 * The masking of one frame after the other (RFC 6455 section 5.3). What is revealed is a copy in memory that the next
 * call uses again: the masked bytes themselves stay as they are.
 */
export class WebSocketMask {
  readonly #key = new Uint8Array(ALIGNMENT)
  readonly #rotated = new Uint8Array(ALIGNMENT)
  readonly #rotatedWord = new Uint32Array(this.#rotated.buffer)
  /** Memory for what is revealed, at any alignment that the masked bytes have. Most sessions need no more than this. */
  #scratch = new Uint8Array(FEW_BYTES + ALIGNMENT)
  #scratchWords = new Uint32Array(0)

  setKey(key: Uint8Array): void {
    this.#key.set(key)
  }

  /** @param at where the byte stands in the payload of its frame. */
  revealByte(byte: number, at: number): number {
    return byte ^ (this.#key[at % ALIGNMENT] ?? 0)
  }

  /**
   * @param bytes {@link MAX_REVEALED_BYTES} or fewer.
   * @param at where they begin in the payload of their frame.
   * @returns a view that is valid until the next call.
   */
  reveal(bytes: Uint8Array, at: number): Uint8Array {
    const phase = bytes.byteOffset % ALIGNMENT
    if (phase + bytes.length > this.#scratch.length) {
      this.#scratch = new Uint8Array(MAX_REVEALED_BYTES + ALIGNMENT)
      this.#scratchWords = new Uint32Array(this.#scratch.buffer)
    }
    const revealed = this.#scratch.subarray(phase, phase + bytes.length)
    if (bytes.length <= FEW_BYTES) {
      this.#revealEach(bytes, revealed, 0, bytes.length, at)
      return revealed
    }
    const lead = (ALIGNMENT - phase) % ALIGNMENT
    const words = Math.floor((bytes.length - lead) / ALIGNMENT)
    this.#revealEach(bytes, revealed, 0, lead, at)
    this.#revealWords(
      new Uint32Array(bytes.buffer, bytes.byteOffset + lead, words),
      (phase + lead) / ALIGNMENT,
      at + lead,
    )
    this.#revealEach(bytes, revealed, lead + words * ALIGNMENT, bytes.length, at)
    return revealed
  }

  #revealEach(bytes: Uint8Array, revealed: Uint8Array, from: number, to: number, at: number): void {
    for (let i = from; i < to; i++) revealed[i] = this.revealByte(bytes[i] ?? 0, at + i)
  }

  #revealWords(words: Uint32Array, to: number, at: number): void {
    for (let i = 0; i < ALIGNMENT; i++) this.#rotated[i] = this.#key[(at + i) % ALIGNMENT] ?? 0
    const key = this.#rotatedWord[0] ?? 0
    const scratch = this.#scratchWords
    for (let i = 0; i < words.length; i++) scratch[to + i] = (words[i] ?? 0) ^ key
  }
}
