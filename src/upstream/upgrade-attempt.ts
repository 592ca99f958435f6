import type { TLSSocket } from 'node:tls'
import type { RawHeaders } from '../kube/raw-headers.ts'
import type { MalformedResponse } from './response-head.ts'
import { type ResponseEvents, ResponseParser } from './response-parser.ts'
import type { UpstreamFailures } from './upstream-failures.ts'
import type { UpgradeAnswer } from './upstream.ts'

/** How much of the body of a refusal is kept. */
const MAX_REFUSAL_BYTES = 64 * 1024

/** Asks, on a connection that is being dialled, to switch protocols, and takes the answer. Used once. */
export class UpgradeAttempt implements ResponseEvents {
  readonly #socket: TLSSocket
  readonly #head: string
  readonly #failures: UpstreamFailures
  readonly #parser = new ResponseParser(this)
  readonly #answer = Promise.withResolvers<UpgradeAnswer>()
  readonly #body: Buffer[] = []
  #bodyBytes = 0
  #statusCode = 0
  #headers: RawHeaders = []
  #lastView: Buffer = Buffer.alloc(0)
  /** Who takes what is read: this, until the connection is handed over. */
  #take = (view: Buffer): void => {
    this.#lastView = view
    this.#parser.push(view)
  }
  #secured = false
  #ended = false
  #cause: Error | undefined

  /**
   * @param dial given who takes what is read: views that are valid only during the call.
   * @param head the request as it goes over the wire.
   */
  constructor(dial: (onRead: (view: Buffer) => void) => TLSSocket, head: string, failures: UpstreamFailures) {
    this.#socket = dial((view) => {
      this.#take(view)
    })
    this.#head = head
    this.#failures = failures
  }

  /**
   * The answer. Unless it is a 101, whose socket is the caller's, the connection is gone by then.
   *
   * @throws StatusError 502, 503, or 504 when the answer is not whole in time; the signal's reason
   */
  async run(timeoutMs: number, signal: AbortSignal): Promise<UpgradeAnswer> {
    const abort = (): void => {
      this.#reject(signal.reason)
    }
    signal.addEventListener('abort', abort)
    const timer = setTimeout(() => {
      this.#reject(this.#failures.late(timeoutMs))
    }, timeoutMs)
    this.#listen()
    if (signal.aborted) abort()
    try {
      return await this.#answer.promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  onHead(statusCode: number, headers: RawHeaders): void {
    this.#statusCode = statusCode
    this.#headers = headers
  }

  onData(view: Buffer): void {
    this.#body.push(Buffer.from(view.subarray(0, MAX_REFUSAL_BYTES - this.#bodyBytes)))
    this.#bodyBytes += view.length
    if (this.#bodyBytes >= MAX_REFUSAL_BYTES) this.#refused()
  }

  onEnd(surplus: number): void {
    if (this.#statusCode === 101) this.#switched(surplus)
    else this.#refused()
  }

  onError(problem: MalformedResponse): void {
    this.#reject(this.#ended ? this.#failures.brokenOff(problem) : this.#failures.malformed(problem))
  }

  readonly #onSecure = (): void => {
    this.#secured = true
    this.#parser.begin({ toHead: false, toUpgrade: true })
    this.#socket.write(this.#head, 'latin1')
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    if (this.#parser.started) this.#parser.finish()
    this.#socket.destroy()
  }

  readonly #onClose = (): void => {
    const cause = this.#cause
    this.#reject(
      this.#secured
        ? this.#failures.brokenOff(cause)
        : this.#failures.unreachable(cause ?? new Error('it closed the connection')),
    )
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('secureConnect', this.#onSecure)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
    // Stays, so that an error between hand-over and the caller's own listeners does not end the process.
    socket.on('error', (error: Error) => {
      this.#cause = error
    })
  }

  #unlisten(): void {
    const socket = this.#socket
    socket.off('secureConnect', this.#onSecure)
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onClose)
  }

  #switched(surplus: number): void {
    const socket = this.#socket
    socket.pause()
    this.#unlisten()
    const early = [Buffer.from(this.#lastView.subarray(this.#lastView.length - surplus))]
    this.#take = (view) => early.push(Buffer.from(view))
    const read = (onChunk: (view: Buffer) => void): void => {
      this.#take = onChunk
      socket.resume()
      for (const chunk of early.splice(0)) if (chunk.length > 0) onChunk(chunk)
    }
    this.#answer.resolve({ statusCode: 101, headers: this.#headers, protocol: this.#parser.upgrade, socket, read })
  }

  #refused(): void {
    this.#leave()
    const body = Buffer.concat(this.#body)
    this.#answer.resolve({ statusCode: this.#statusCode, headers: this.#headers, socket: null, body })
  }

  #reject(reason: unknown): void {
    this.#leave()
    this.#answer.reject(reason)
  }

  #leave(): void {
    this.#parser.stop()
    this.#unlisten()
    this.#socket.destroy()
  }
}
