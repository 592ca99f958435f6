import { type EventCode, renderEvent, renderHeader, renderSize, renderTextEvent } from './asciicast.ts'
import { type JsonEscaping, MAX_TEXT_BYTES } from './json-escaping.ts'
import { DEFAULT_TERMINAL_SIZE, type TerminalSize } from './terminal-size.ts'

/** Told each line of an asciicast; null at its end. */
export type CastFollower = (line: string | null) => void

export interface CastOptions {
  /** Keeps a line, whose memory is not kept. */
  readonly append: (line: string | Uint8Array) => void
  readonly escaping: JsonEscaping
  readonly startedAtMs: number
  readonly title: string
  readonly command: string
}

/**
 * Writes an asciicast v2: the header once, then events whose times never decrease. The header waits for the first event,
 * so that a size which is told before any output is in it.
 */
export class CastWriter {
  readonly #options: CastOptions
  readonly #followers = new Set<CastFollower>()
  #header = ''
  #size = DEFAULT_TERMINAL_SIZE
  #lastMicros = 0
  #ended = false

  constructor(options: CastOptions) {
    this.#options = options
  }

  /** @param atMs since the session's start, as everywhere here. */
  event(atMs: number, code: Exclude<EventCode, 'o' | 'r'>, data: string): void {
    this.begin()
    this.#write(renderEvent(this.#micros(atMs), code, data))
  }

  /** Output, as valid UTF-8 of any length. */
  output(atMs: number, text: Uint8Array, stream: 'stdout' | 'stderr'): void {
    this.begin()
    const micros = this.#micros(atMs)
    for (let from = 0; from < text.length;) {
      const end = characterEnd(text, Math.min(from + MAX_TEXT_BYTES, text.length))
      if (stream !== 'stdout') this.#write(renderEvent(micros, 'e', stream))
      this.#write(renderTextEvent(this.#options.escaping, micros, 'o', text.subarray(from, end)))
      from = end
    }
  }

  /** The terminal's size. Nothing is written when it is what it was. */
  resize(atMs: number, size: TerminalSize): void {
    const isNew = size.columns !== this.#size.columns || size.rows !== this.#size.rows
    this.#size = size
    if (this.#header === '') this.begin()
    else if (isNew) this.#write(renderEvent(this.#micros(atMs), 'r', renderSize(size)))
  }

  /** Writes the header, if it is not there yet. */
  begin(): void {
    if (this.#header !== '') return
    const { startedAtMs, title, command } = this.#options
    this.#header = renderHeader(this.#size, startedAtMs, title, command)
    this.#write(this.#header)
  }

  /** See {@link SessionRecorder.follow}. */
  follow(atMs: number, follower: CastFollower): () => void {
    this.begin()
    follower(this.#header)
    follower(renderEvent(this.#micros(atMs), 'r', renderSize(this.#size)))
    if (this.#ended) follower(null)
    else this.#followers.add(follower)
    return () => {
      this.#followers.delete(follower)
    }
  }

  /** Nothing more is written. */
  end(): void {
    this.begin()
    this.#ended = true
    for (const follower of this.#followers) this.#tell(follower, null)
    this.#followers.clear()
  }

  #write(line: string | Uint8Array): void {
    if (this.#ended) return
    if (this.#followers.size > 0) {
      const text = typeof line === 'string' ? line : Buffer.from(line).toString()
      for (const follower of this.#followers) this.#tell(follower, text)
    }
    this.#options.append(line)
  }

  #tell(follower: CastFollower, line: string | null): void {
    try {
      follower(line)
    } catch {
      // A follower that fails is no reason to record less.
      this.#followers.delete(follower)
    }
  }

  #micros(atMs: number): number {
    this.#lastMicros = Math.max(this.#lastMicros, Math.round(atMs * 1000))
    return this.#lastMicros
  }
}

/** The last end of a character at or before the offset. */
function characterEnd(text: Uint8Array, offset: number): number {
  let end = offset
  while (end < text.length && ((text[end] ?? 0) & 0xc0) === 0x80) end--
  return end
}
