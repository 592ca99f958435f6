import { type OutgoingHttpHeaders, type ServerHttp2Stream, constants } from 'node:http2'
import type { RawHeaders } from '../kube/raw-headers.ts'
import type { Reply } from './reply.ts'

/** A reply on an HTTP/2 stream. */
export class Http2Reply implements Reply {
  readonly #stream: ServerHttp2Stream
  readonly #expectsContinue: boolean
  readonly #bodyless: boolean

  /** @param bodyless whether the request was a HEAD, whose answer has no body whatever its head says. */
  constructor(stream: ServerHttp2Stream, options: { readonly expectsContinue: boolean; readonly bodyless: boolean }) {
    this.#stream = stream
    this.#expectsContinue = options.expectsContinue
    this.#bodyless = options.bodyless
  }

  get headSent(): boolean {
    return this.#stream.headersSent
  }

  get closed(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }

  head(statusCode: number, headers: RawHeaders): void {
    if (this.#stream.destroyed) return
    const fields = Object.create(null) as OutgoingHttpHeaders
    fields[':status'] = statusCode
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = (headers[i] ?? '').toLowerCase()
      const value = headers[i + 1] ?? ''
      const known = fields[name]
      if (known === undefined) fields[name] = value
      else if (Array.isArray(known)) known.push(value)
      else fields[name] = [String(known), value]
    }
    const endStream = this.#bodyless || statusCode === 204 || statusCode === 304
    this.#stream.respond(fields, { endStream })
  }

  continue(): void {
    if (this.#expectsContinue && !this.headSent && !this.#stream.destroyed) {
      this.#stream.additionalHeaders({ ':status': 100 })
    }
  }

  write(chunk: Buffer, sent?: () => void): boolean {
    return this.#stream.writable ? this.#stream.write(chunk, sent) : true
  }

  end(): void {
    if (this.#stream.writable) this.#stream.end()
  }

  /** A stream is never used again. */
  leaveBodyUnread(): void {
    return
  }

  endUnread(): void {
    const stream = this.#stream
    stream.once('finish', () => {
      stream.close(constants.NGHTTP2_NO_ERROR)
    })
    stream.resume()
    this.end()
  }

  destroy(): void {
    // close() would send END_STREAM before the reset, and what came so far would look whole.
    this.#stream.destroy(new Error('the response broke off'))
  }

  onDrain(callback: () => void): void {
    this.#stream.on('drain', callback)
  }

  onClose(callback: () => void): void {
    this.#stream.once('close', callback)
  }
}
