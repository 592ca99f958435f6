import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RawHeaders } from '../kube/raw-headers.ts'
import type { Reply } from './reply.ts'

/** How much of an unread request body is thrown away so that the client gets the refusal, in bytes. */
const MAX_DISCARDED_BYTES = 4 * 1024 * 1024
/** And how long that may take, in milliseconds. */
const DISCARD_TIMEOUT_MS = 2_000

/** A reply over HTTP/1.1. */
export class Http1Reply implements Reply {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #expectsContinue: boolean
  #bodyBegan = false

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) {
    this.#request = request
    this.#response = response
    this.#expectsContinue = expectsContinue
  }

  get headSent(): boolean {
    return this.#response.headersSent
  }

  get closed(): boolean {
    return this.#response.closed || this.#response.destroyed
  }

  head(statusCode: number, headers: RawHeaders): void {
    this.#response.writeHead(statusCode, headers as string[])
    queueMicrotask(() => {
      if (!this.#bodyBegan) this.#response.flushHeaders()
    })
  }

  continue(): void {
    if (this.#expectsContinue && !this.headSent) this.#response.writeContinue()
  }

  write(chunk: Buffer, sent?: () => void): boolean {
    this.#bodyBegan = true
    return this.#response.write(chunk, sent)
  }

  end(): void {
    this.#bodyBegan = true
    this.#response.end()
  }

  leaveBodyUnread(): void {
    this.#response.shouldKeepAlive = false
  }

  endUnread(): void {
    const request = this.#request
    if (request.complete || this.#expectsContinue) {
      this.end()
      return
    }
    let discarded = 0
    const finish = (): void => {
      clearTimeout(timer)
      request.off('data', count)
      this.end()
    }
    const count = (chunk: Buffer): void => {
      discarded += chunk.length
      if (discarded > MAX_DISCARDED_BYTES) finish()
    }
    const timer = setTimeout(finish, DISCARD_TIMEOUT_MS)
    timer.unref()
    request.on('data', count)
    request.once('end', finish)
    request.once('close', finish)
    request.resume()
  }

  destroy(): void {
    this.#response.destroy()
  }

  onDrain(callback: () => void): void {
    this.#response.on('drain', callback)
  }

  onClose(callback: () => void): void {
    this.#response.once('close', callback)
  }
}
