import {
  MAX_EVENT_BYTES,
  renderEvent,
  renderHeader,
  renderSize,
  TextEventRenderer,
  type EventCode,
} from './asciicast.ts'
import { DEFAULT_TERMINAL_SIZE, type TerminalSize } from './terminal-size.ts'

/** Characters or bytes of lines that wait for the store; the relay pauses long before. */
const MAX_WAITING_LENGTH = 16 * 1024 * 1024

/** Told each line of an asciicast; null at its end. */
export type CastFollower = (line: string | null) => void

export interface CastOptions {
  /** Keeps a line; false when no more may come before {@link CastWriter.drained}. */
  readonly append: (line: string | Uint8Array) => boolean
  readonly startedAtMs: number
  readonly title: string
  readonly command: string
  /** Called once when too much waits. */
  readonly onOverflow: () => void
}

/**
 * Writes an asciicast v2: the header once, then events whose times never decrease. The header waits for the first event,
 * so that a size which is told before any output is in it.
 */
export class CastWriter {
  readonly #options: CastOptions
  readonly #followers = new Set<CastFollower>()
  readonly #renderer = new TextEventRenderer()
  #header = ''
  #size = DEFAULT_TERMINAL_SIZE
  #lastMicros = 0
  #waiting: (string | Uint8Array)[] = []
  #waitingLength = 0
  #blocked = false
  #ended = false

  constructor(options: CastOptions) {
    this.#options = options
  }

  /** Whether lines wait for the store. */
  get backlogged(): boolean {
    return this.#blocked
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
      const end = characterEnd(text, Math.min(from + MAX_EVENT_BYTES, text.length))
      if (stream !== 'stdout') this.#write(renderEvent(micros, 'e', stream))
      this.#write(this.#renderer.render(micros, 'o', text.subarray(from, end)))
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

  /** The store takes lines again. */
  drained(): void {
    this.#blocked = false
    while (!this.#isBlocked()) {
      const line = this.#waiting.shift()
      if (line === undefined) return
      this.#waitingLength -= line.length
      this.#append(line)
    }
  }

  /** Hands over what waits, however much the store has; then nothing more is written. */
  end(): void {
    this.begin()
    this.#ended = true
    for (const line of this.#waiting) this.#options.append(line)
    this.#waiting = []
    for (const follower of this.#followers) this.#tell(follower, null)
    this.#followers.clear()
  }

  /** The bytes' memory is not kept. */
  #write(line: string | Uint8Array): void {
    if (this.#ended) return
    if (this.#followers.size > 0) {
      const text = typeof line === 'string' ? line : Buffer.from(line).toString()
      for (const follower of this.#followers) this.#tell(follower, text)
    }
    if (!this.#blocked) {
      this.#append(line)
      return
    }
    if (this.#waitingLength > MAX_WAITING_LENGTH) return
    this.#waiting.push(typeof line === 'string' ? line : Buffer.from(line))
    this.#waitingLength += line.length
    if (this.#waitingLength > MAX_WAITING_LENGTH) this.#options.onOverflow()
  }

  #tell(follower: CastFollower, line: string | null): void {
    try {
      follower(line)
    } catch {
      // A follower that fails is no reason to record less.
      this.#followers.delete(follower)
    }
  }

  #append(line: string | Uint8Array): void {
    if (!this.#options.append(line)) this.#blocked = true
  }

  #isBlocked(): boolean {
    return this.#blocked
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
