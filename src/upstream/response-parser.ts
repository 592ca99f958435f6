import type { RawHeaders } from '../kube/raw-headers.ts'
import { ChunkFraming } from './chunk-framing.ts'
import { MalformedResponse, parseResponseHead, type ResponseHead } from './response-head.ts'

/** Status line and header lines of one response together, in bytes. */
export const MAX_HEAD_BYTES = 64 * 1024
/** Informational answers (1xx) before the final one. */
export const MAX_INTERIM_RESPONSES = 8

const HEAD_END = Buffer.from('\r\n\r\n')
/** The first nine bytes of a head, or fewer of them. */
const HEAD_BEGIN = /^(?:H$|HT$|HTT$|HTTP$|HTTP\/$|HTTP\/1$|HTTP\/1\.$|HTTP\/1\.[01](?: |$))/

/** Receives what a {@link ResponseParser} reads. Exactly one of `onEnd` and `onError` is called, last, for a response. */
export interface ResponseEvents {
  onHead(statusCode: number, headers: RawHeaders): void
  /** A view of the bytes that were pushed. */
  onData(view: Buffer): void
  /** `surplus` is how many of the bytes just pushed lie behind the end of the response. They are ignored. */
  onEnd(surplus: number): void
  onError(problem: MalformedResponse): void
}

/** What a response depends on in the request that it answers. */
export interface ExpectedResponse {
  readonly toHead: boolean
  /** A 101 is then final, and an error otherwise. */
  readonly toUpgrade: boolean
}

/** `idle` takes nothing; the others name what comes next. */
type State = 'idle' | 'head' | 'length' | 'until-close' | 'chunk-framing' | 'chunk-data'

/**
 * Reads the responses of one HTTP/1.1 connection, one at a time, from pieces of any size.
 *
 * Bytes of a body are handed over as views and not kept; of an unfinished head at most
 * {@link MAX_HEAD_BYTES} are. Never throws for what it is fed. An event may call `stop`, and `onEnd` without
 * surplus may call `begin`.
 *
 * @see RFC 9112 sections 4 to 7
 */
export class ResponseParser {
  readonly #events: ResponseEvents
  readonly #chunks = new ChunkFraming()
  #state: State = 'idle'
  #expected: ExpectedResponse = { toHead: false, toUpgrade: false }
  #started = false
  #hasHead = false
  #keepAlive = false
  #upgrade = ''
  #interim = 0
  /** An unfinished head, and how many of its bytes are there. */
  #partial = Buffer.alloc(0)
  #partialLength = 0
  /** Bytes of the body or of the chunk still to come. */
  #remaining = 0

  constructor(events: ResponseEvents) {
    this.#events = events
  }

  /** Whether a byte of the present response has come. */
  get started(): boolean {
    return this.#started
  }

  /** From `onHead` on. */
  get hasHead(): boolean {
    return this.#hasHead
  }

  /** From `onHead` on: whether the response lets the connection be used again. */
  get keepAlive(): boolean {
    return this.#keepAlive
  }

  /** From `onHead` on: the value of `Upgrade`; empty when there is none. */
  get upgrade(): string {
    return this.#upgrade
  }

  /** Expects the next response. */
  begin(expected: ExpectedResponse): void {
    this.#state = 'head'
    this.#expected = expected
    this.#started = false
    this.#hasHead = false
    this.#keepAlive = false
    this.#upgrade = ''
    this.#interim = 0
  }

  /** No event comes any more, whatever is pushed. */
  stop(): void {
    this.#state = 'idle'
    this.#forgetPartial()
  }

  /** The connection ended. */
  finish(): void {
    if (this.#state === 'idle') return
    if (this.#state === 'until-close') this.#end(0)
    else this.#fail(this.#state === 'head' ? 'it ended inside the head' : 'it ended inside the body')
  }

  /** Takes the next bytes of the connection. */
  push(chunk: Buffer): void {
    if (chunk.length > 0) this.#started = true
    let at = 0
    while (at < chunk.length) {
      switch (this.#state) {
        case 'idle':
          return
        case 'head':
          at = this.#readHead(chunk, at)
          break
        case 'length':
        case 'chunk-data':
          at = this.#readData(chunk, at)
          break
        case 'chunk-framing':
          at = this.#readFraming(chunk, at)
          break
        case 'until-close':
          this.#events.onData(at === 0 ? chunk : chunk.subarray(at))
          return
      }
    }
  }

  /** Like the other readers, returns the index behind what it read. */
  #readHead(chunk: Buffer, at: number): number {
    if (this.#partialLength > 0) return this.#readSplitHead(chunk, at)
    const end = chunk.indexOf(HEAD_END, at)
    if (end === -1 || end + HEAD_END.length - at > MAX_HEAD_BYTES) return this.#readSplitHead(chunk, at)
    const next = end + HEAD_END.length
    this.#takeHead(chunk.toString('latin1', at, end + 2), chunk.length - next)
    return next
  }

  #readSplitHead(chunk: Buffer, at: number): number {
    const before = this.#partialLength
    const taken = Math.min(chunk.length - at, MAX_HEAD_BYTES - before)
    const kept = this.#keep(chunk.subarray(at, at + taken))
    const end = kept.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length + 1))
    if (end !== -1) {
      const next = at + end + HEAD_END.length - before
      this.#forgetPartial()
      this.#takeHead(kept.toString('latin1', 0, end + 2), chunk.length - next)
      return next
    }
    if (!HEAD_BEGIN.test(kept.toString('latin1', 0, 9))) this.#fail('the answer is not HTTP/1.1')
    else if (kept.length === MAX_HEAD_BYTES) this.#fail(`the head is longer than ${MAX_HEAD_BYTES} bytes`)
    return at + taken
  }

  /** Adds to the unfinished head and returns all there is of it. */
  #keep(piece: Buffer): Buffer {
    const length = this.#partialLength + piece.length
    if (length > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.min(MAX_HEAD_BYTES, Math.max(2 * length, 1024)))
      this.#partial.copy(larger, 0, 0, this.#partialLength)
      this.#partial = larger
    }
    piece.copy(this.#partial, this.#partialLength)
    this.#partialLength = length
    return this.#partial.subarray(0, length)
  }

  #forgetPartial(): void {
    if (this.#partialLength === 0) return
    this.#partial = Buffer.alloc(0)
    this.#partialLength = 0
  }

  #takeHead(text: string, surplus: number): void {
    let head: ResponseHead
    try {
      head = parseResponseHead(text, this.#expected.toHead)
    } catch (error) {
      this.#refuse(error)
      return
    }
    const switched = head.statusCode === 101
    if (switched && !this.#expected.toUpgrade) {
      this.#fail('it switches to a protocol that nobody asked for')
      return
    }
    if (head.statusCode < 200 && !switched) {
      if (++this.#interim > MAX_INTERIM_RESPONSES) this.#fail(`more than ${MAX_INTERIM_RESPONSES} interim answers`)
      return
    }
    this.#hasHead = true
    this.#keepAlive = head.keepAlive && !switched
    this.#upgrade = head.upgrade
    this.#expectBody(head)
    this.#events.onHead(head.statusCode, head.headers)
    if (head.framing === 0 && this.#isIn('length')) this.#end(surplus)
  }

  #expectBody({ framing }: ResponseHead): void {
    if (typeof framing === 'number') {
      this.#state = 'length'
      this.#remaining = framing
    } else if (framing === 'chunked') {
      this.#state = 'chunk-framing'
      this.#chunks.begin()
    } else {
      this.#state = 'until-close'
    }
  }

  #readData(chunk: Buffer, at: number): number {
    const next = Math.min(chunk.length, at + this.#remaining)
    this.#remaining -= next - at
    const last = this.#remaining === 0
    if (last && this.#isIn('chunk-data')) this.#state = 'chunk-framing'
    this.#events.onData(next - at === chunk.length ? chunk : chunk.subarray(at, next))
    if (last && this.#isIn('length')) this.#end(chunk.length - next)
    return next
  }

  #readFraming(chunk: Buffer, at: number): number {
    let next = at
    let step: 'framing' | 'data' | 'end' = 'framing'
    try {
      while (step === 'framing' && next < chunk.length) step = this.#chunks.read(chunk[next++] ?? 0)
    } catch (error) {
      this.#refuse(error)
      return next
    }
    if (step === 'data') {
      this.#state = 'chunk-data'
      this.#remaining = this.#chunks.size
    } else if (step === 'end') {
      this.#end(chunk.length - next)
    }
    return next
  }

  #end(surplus: number): void {
    this.stop()
    this.#events.onEnd(surplus)
  }

  #fail(problem: string): void {
    this.#refuse(new MalformedResponse(problem))
  }

  #refuse(error: unknown): void {
    if (!(error instanceof MalformedResponse)) throw error
    this.stop()
    this.#events.onError(error)
  }

  /** Also after a callback that may have stopped the parser, which the compiler does not see. */
  #isIn(state: State): boolean {
    return this.#state === state
  }
}
