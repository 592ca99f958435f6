import type { StatusError } from '../kube/status.ts'
import type { UpstreamFailures } from './upstream-failures.ts'
import type { ResponseSink, UpstreamExchange, UpstreamRequest } from './upstream.ts'

/** What an exchange is with at present: the line of those that wait for a connection, or its connection. */
export interface Carrier {
  /** False when the caller should wait for the exchange to be drained. */
  sendBody(chunk: Buffer): boolean
  endBody(): void
  resume(): void
  /** The exchange is over for its caller; the carrier forgets it. */
  abandon(exchange: Exchange): void
}

/** One request and the answer to it, on whatever connection. */
export class Exchange implements UpstreamExchange {
  readonly request: UpstreamRequest
  /** The head of the request as it goes over the wire. */
  readonly head: string
  readonly sink: ResponseSink
  /** From the end of the request to the head of its answer, in milliseconds. */
  readonly headTimeoutMs: number
  readonly #drain: () => void
  readonly #failures: UpstreamFailures
  /** Undefined when the exchange is over. */
  #carrier: Carrier | undefined
  #connected = false
  /** Body that came before the connection was there. */
  #early: Buffer[] | undefined
  /** Body bytes that were announced and did not come yet. */
  #owed: number
  #bodyEnded: boolean
  #bodyRefused = false

  constructor(
    request: UpstreamRequest,
    head: string,
    sink: ResponseSink,
    drain: () => void,
    headTimeoutMs: number,
    failures: UpstreamFailures,
  ) {
    this.request = request
    this.head = head
    this.sink = sink
    this.headTimeoutMs = headTimeoutMs
    this.#drain = drain
    this.#failures = failures
    this.#owed = request.bodyLength === 'chunked' ? Infinity : request.bodyLength
    this.#bodyEnded = request.bodyLength === 0
  }

  /** Whether the request was handed to the connection to its end. */
  get isSent(): boolean {
    return this.#connected && this.#bodyEnded && !this.#bodyRefused
  }

  /** Whether it does no harm to send the request a second time, and nothing of it is lost. */
  get isRepeatable(): boolean {
    const { method, bodyLength } = this.request
    return (method === 'GET' || method === 'HEAD') && bodyLength === 0
  }

  /** For a carrier that takes the exchange over before it can send. */
  awaitConnection(carrier: Carrier): void {
    this.#carrier = carrier
    this.#connected = false
  }

  /** For a connection that has just sent the head. */
  connect(carrier: Carrier): void {
    this.#carrier = carrier
    this.#connected = true
    const early = this.#early
    if (early === undefined) {
      if (this.#bodyEnded) carrier.endBody()
      return
    }
    this.#early = undefined
    let drained = true
    for (const chunk of early) drained = carrier.sendBody(chunk)
    if (this.#bodyEnded) carrier.endBody()
    else if (drained) this.#drain()
  }

  write(chunk: Buffer): boolean {
    if (this.#carrier === undefined || this.#bodyRefused || chunk.length === 0) return true
    this.#owed -= chunk.length
    if (this.#owed < 0 || this.#bodyEnded) {
      this.#mismatch()
      return true
    }
    if (this.#connected) return this.#carrier.sendBody(chunk)
    this.#early ??= []
    this.#early.push(chunk)
    return false
  }

  end(): void {
    if (this.#carrier === undefined || this.#bodyEnded) return
    if (this.#owed > 0 && this.#owed !== Infinity && !this.#bodyRefused) {
      this.#mismatch()
      return
    }
    this.#bodyEnded = true
    if (this.#connected && !this.#bodyRefused) this.#carrier.endBody()
  }

  resume(): void {
    this.#carrier?.resume()
  }

  abort(): void {
    const carrier = this.#carrier
    this.#carrier = undefined
    this.#early = undefined
    carrier?.abandon(this)
  }

  /** The connection can take more. */
  drained(): void {
    if (this.#carrier !== undefined && !this.#bodyEnded) this.#drain()
  }

  /** The answer makes the rest of the body pointless: it is dropped from here on. */
  refuseBody(): void {
    if (this.#carrier === undefined || this.#bodyEnded) return
    this.#bodyRefused = true
    this.#drain()
  }

  /** The answer is whole. */
  succeed(): void {
    this.#carrier = undefined
    this.sink.end()
  }

  fail(error: StatusError): void {
    if (this.#carrier === undefined) return
    this.#carrier = undefined
    this.#early = undefined
    this.sink.error(error)
  }

  #mismatch(): void {
    this.abort()
    this.sink.error(this.#failures.bodyLengthMismatch())
  }
}
