import { MalformedResponse } from './response-head.ts'

/** Size and extensions of one chunk, in bytes. */
export const MAX_CHUNK_LINE_BYTES = 4 * 1024
/** Trailer lines of one body together, in bytes. */
export const MAX_TRAILER_BYTES = 16 * 1024
/** Hexadecimal digits of a chunk size that a double still counts exactly. */
const MAX_SIZE_DIGITS = 12

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const SEMICOLON = 0x3b
const DELETE = 0x7f

type State =
  | 'size'
  | 'extension'
  | 'line-feed'
  | 'after-data'
  | 'after-data-feed'
  | 'trailer-line'
  | 'trailer'
  | 'trailer-feed'
  | 'last-feed'

/**
 * What stands between the data of a chunked body, byte by byte. Extensions and trailers are bounded and dropped.
 *
 * @see RFC 9112 section 7.1
 */
export class ChunkFraming {
  #state: State = 'size'
  #size = 0
  #digits = 0
  /** Of the present chunk line, or of all trailers. */
  #bytes = 0

  /** Bytes of data in the chunk that was begun last. */
  get size(): number {
    return this.#size
  }

  /** Expects a new body. */
  begin(): void {
    this.#expectSize()
  }

  /**
   * Takes one byte. On `data` the next `size` bytes are data, which the caller keeps back from here; on `end`
   * the body is over.
   *
   * @throws MalformedResponse
   */
  read(byte: number): 'framing' | 'data' | 'end' {
    switch (this.#state) {
      case 'size':
        this.#readSize(byte)
        return 'framing'
      case 'extension':
        if (byte === CR) this.#state = 'line-feed'
        else this.#readText(byte, MAX_CHUNK_LINE_BYTES, 'a chunk line')
        return 'framing'
      case 'line-feed':
        requireFeed(byte)
        this.#bytes = 0
        this.#state = this.#size > 0 ? 'after-data' : 'trailer-line'
        return this.#size > 0 ? 'data' : 'framing'
      case 'after-data':
        if (byte !== CR) throw new MalformedResponse('a chunk is longer than its size')
        this.#state = 'after-data-feed'
        return 'framing'
      case 'after-data-feed':
        requireFeed(byte)
        this.#expectSize()
        return 'framing'
      case 'trailer-line':
        if (byte === CR) this.#state = 'last-feed'
        else {
          this.#state = 'trailer'
          this.#readText(byte, MAX_TRAILER_BYTES, 'the trailer')
        }
        return 'framing'
      case 'trailer':
        if (byte === CR) this.#state = 'trailer-feed'
        else this.#readText(byte, MAX_TRAILER_BYTES, 'the trailer')
        return 'framing'
      case 'trailer-feed':
        requireFeed(byte)
        this.#state = 'trailer-line'
        return 'framing'
      case 'last-feed':
        requireFeed(byte)
        return 'end'
    }
  }

  #expectSize(): void {
    this.#state = 'size'
    this.#size = 0
    this.#digits = 0
    this.#bytes = 0
  }

  #readSize(byte: number): void {
    const digit = hexadecimalDigit(byte)
    if (digit !== undefined) {
      if (++this.#digits > MAX_SIZE_DIGITS) throw new MalformedResponse('a chunk size is too large')
      this.#size = this.#size * 16 + digit
    } else if (this.#digits === 0) throw new MalformedResponse('a chunk size is missing')
    else if (byte === CR) this.#state = 'line-feed'
    else if (byte === SEMICOLON) this.#state = 'extension'
    else throw new MalformedResponse('a chunk size is malformed')
  }

  #readText(byte: number, limit: number, what: string): void {
    if ((byte < SPACE && byte !== TAB) || byte === DELETE) {
      throw new MalformedResponse(`${what} holds a control character`)
    }
    if (++this.#bytes > limit) throw new MalformedResponse(`${what} is longer than ${limit} bytes`)
  }
}

function requireFeed(byte: number): void {
  if (byte !== LF) throw new MalformedResponse('a CR without LF in the chunk framing')
}

function hexadecimalDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : undefined
}
