import { isUtf8 } from 'node:buffer'

/** U+FFFD in UTF-8: what stands for bytes that are no character. */
const REPLACEMENT = [0xef, 0xbf, 0xbd] as const

const MAX_CHARACTER_BYTES = 4

/**
 * How much is no text before a stream counts as binary. A NUL, or bytes that are no UTF-8, weigh 4 each; a byte of text
 * takes one off. So more than one in five has to be no text, for at least 512 of them.
 */
const BINARY_WEIGHT = 2048
const NO_TEXT_WEIGHT = 4

/**
 * Makes valid UTF-8 of a stream: characters that are split over chunks are joined, and bytes that are no character
 * replaced, one U+FFFD for each longest beginning of a character (WHATWG Encoding, "utf-8 decoder"). How the stream is
 * split makes no difference.
 */
export class TextScanner {
  /** Whether to stop where the stream turns out to be binary. */
  readonly #stopsAtBinary: boolean
  #weight = 0
  /** The beginning of a character: its bytes, and how many are still missing. */
  #begun: number[] = []
  #missing = 0
  #repaired = Buffer.alloc(0)

  constructor(stopsAtBinary: boolean) {
    this.#stopsAtBinary = stopsAtBinary
  }

  /**
   * Returns the text of the chunk, valid until the next call, and of how many of its bytes it is the text: all, unless
   * the stream is binary from there on. A character that is not complete yet belongs to the next call's text.
   */
  push(chunk: Uint8Array): { readonly text: Uint8Array; readonly consumed: number } {
    const most = (chunk.length + MAX_CHARACTER_BYTES) * REPLACEMENT.length
    let end = 0
    let consumed = 0
    if (this.#begun.length > 0) {
      this.#reserve(most)
      const joined = this.#repair(chunk.subarray(0, this.#missing), 0)
      if (joined.consumed < Math.min(this.#missing, chunk.length) || this.#begun.length > 0) {
        return this.#rest(chunk, joined.end, joined.consumed)
      }
      end = joined.end
      consumed = joined.consumed
    }
    const complete = chunk.length - incompleteTail(chunk)
    const whole = chunk.subarray(consumed, complete)
    if (whole.length === 0 || !isUtf8(whole) || (this.#stopsAtBinary && whole.includes(0))) {
      this.#reserve(most)
      return this.#rest(chunk, end, consumed)
    }
    this.#weight = Math.max(0, this.#weight - whole.length)
    for (let i = complete; i < chunk.length; i++) this.#begin(chunk[i] ?? 0)
    if (end === 0) return { text: whole, consumed: chunk.length }
    this.#repaired.set(whole, end)
    return { text: this.#repaired.subarray(0, end + whole.length), consumed: chunk.length }
  }

  /** The text of a character that the stream's end cut off, and a new beginning. */
  end(): Uint8Array {
    const cut = this.#begun.length > 0
    this.#begun = []
    this.#weight = 0
    return Uint8Array.from(cut ? REPLACEMENT : [])
  }

  #rest(chunk: Uint8Array, from: number, consumed: number): { readonly text: Uint8Array; readonly consumed: number } {
    const rest = this.#isBinary ? { end: from, consumed: 0 } : this.#repair(chunk.subarray(consumed), from)
    return { text: this.#repaired.subarray(0, rest.end), consumed: consumed + rest.consumed }
  }

  get #isBinary(): boolean {
    return this.#stopsAtBinary && this.#weight > BINARY_WEIGHT
  }

  #reserve(byteLength: number): void {
    if (this.#repaired.length < byteLength) this.#repaired = Buffer.allocUnsafeSlow(byteLength)
  }

  /** Writes the text from `from` on into the buffer. Returns where it ends, and of how many bytes it is the text. */
  #repair(bytes: Uint8Array, from: number): { readonly end: number; readonly consumed: number } {
    const repaired = this.#repaired
    let end = from
    let i = 0
    while (i < bytes.length) {
      const byte = bytes[i] ?? 0
      if (this.#begun.length === 0 && byte < 0x80) {
        i++
        repaired[end++] = byte
        if (byte !== 0) {
          if (this.#weight > 0) this.#weight--
          continue
        }
      } else if (this.#begin(byte)) {
        i++
        if (this.#missing > 0) continue
        for (const part of this.#begun) repaired[end++] = part
        this.#weight = Math.max(0, this.#weight - this.#begun.length)
        this.#begun = []
        continue
      } else {
        // A byte that does not continue a character may begin the next.
        if (this.#begun.length === 0) i++
        this.#begun = []
        for (const part of REPLACEMENT) repaired[end++] = part
      }
      this.#weight += NO_TEXT_WEIGHT
      if (this.#isBinary) break
    }
    return { end, consumed: i }
  }

  /** Takes the byte as the next of a character of several; false when it cannot be. */
  #begin(byte: number): boolean {
    if (this.#begun.length === 0) {
      this.#missing = continuations(byte)
      if (this.#missing === 0) return false
    } else {
      if (!continues(byte, this.#begun)) return false
      this.#missing--
    }
    this.#begun.push(byte)
    return true
  }
}

/** How many bytes follow the first of a character of several; 0 when none begins with it. */
function continuations(first: number): number {
  return first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3
}

/** Whether a byte may stand behind the beginning of a character: no surrogates, nothing overlong or beyond U+10FFFF. */
function continues(byte: number, begun: readonly number[]): boolean {
  const first = begun.length === 1 ? begun[0] : 0
  const lower = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const upper = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  return byte >= lower && byte <= upper
}

/** Whether a piece out of a stream is text: no NUL, and UTF-8 but for characters that its two ends cut. */
export function isText(piece: Uint8Array): boolean {
  let from = 0
  while (from < MAX_CHARACTER_BYTES - 1 && from < piece.length && ((piece[from] ?? 0) & 0xc0) === 0x80) from++
  const inner = piece.subarray(from, piece.length - incompleteTail(piece))
  return !inner.includes(0) && isUtf8(inner)
}

/** How many bytes at the end are the beginning of a character that is not complete: 0 to 3. */
function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back < MAX_CHARACTER_BYTES && back <= bytes.length; back++) {
    const first = bytes[bytes.length - back] ?? 0
    if (first < 0x80) return 0
    if (first < 0xc0) continue
    if (back > continuations(first)) return 0
    return back === 1 || continues(bytes[bytes.length - back + 1] ?? 0, [first]) ? back : 0
  }
  return 0
}
