import type { TLSSocket } from 'node:tls'
import type { RawHeaders } from '../kube/raw-headers.ts'
import type { StatusError } from '../kube/status.ts'
import type { Dialer } from './dialer.ts'
import type { Carrier, Exchange } from './exchange.ts'
import type { MalformedResponse } from './response-head.ts'
import { type ExpectedResponse, type ResponseEvents, ResponseParser } from './response-parser.ts'
import type { UpstreamFailures } from './upstream-failures.ts'

/** The longest time that a timer of Node's can wait, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

const TO_HEAD: ExpectedResponse = { toHead: true, toUpgrade: false }
const TO_OTHERS: ExpectedResponse = { toHead: false, toUpgrade: false }

/** What a connection tells the pool that it belongs to. */
export interface ConnectionOwner {
  /** Memory that every connection of the owner reads into. */
  readonly readBuffer: Buffer
  readonly failures: UpstreamFailures
  /** The answer was 401. */
  rejected(): void
  /** The connection may carry another exchange. */
  released(connection: Connection): void
  /** The connection is gone. `unanswered`: an exchange that may be sent again, on a fresh connection. */
  gone(connection: Connection, unanswered: Exchange | undefined): void
}

/**
 * One TLS connection to an API server, which carries one exchange at a time. It dials when it is made, and is
 * destroyed at anything out of the ordinary.
 */
export class Connection implements Carrier, ResponseEvents {
  /** How many sweeps of the pool have found it idle since it was released. */
  idleSweeps = 0
  readonly #owner: ConnectionOwner
  readonly #socket: TLSSocket
  readonly #parser = new ResponseParser(this)
  #exchange: Exchange | undefined
  #secured = false
  #used = false
  #paused = false
  #ended = false
  #cause: Error | undefined
  /** One timer for all exchanges, since restarting one is cheap and making one is not. */
  #timer: NodeJS.Timeout | undefined
  #timerMs = 0
  /** Time-out of the head that is awaited; undefined when none is. */
  #awaitedMs: number | undefined

  constructor(dialer: Dialer, owner: ConnectionOwner) {
    this.#owner = owner
    const socket = dialer.dial({
      onread: { buffer: () => owner.readBuffer, callback: (bytes, buffer) => this.#read(bytes, buffer) },
    })
    this.#socket = socket
    socket.on('secureConnect', () => {
      this.#secured = true
      if (this.#exchange !== undefined) this.#send(this.#exchange)
    })
    socket.on('drain', () => {
      this.#exchange?.drained()
    })
    socket.on('error', (error: Error) => {
      this.#cause = error
    })
    socket.on('end', () => {
      this.#ended = true
      if (this.#parser.started) this.#parser.finish()
      socket.destroy()
    })
    socket.on('close', () => {
      this.#closed()
    })
  }

  /** Whether it can still carry something, as far as is known. */
  get isAlive(): boolean {
    return !this.#ended && !this.#socket.destroyed
  }

  /** Sends a request, at once or when the connection stands. Only for a connection that carries nothing. */
  carry(exchange: Exchange): void {
    this.#exchange = exchange
    if (this.#secured) this.#send(exchange)
    else exchange.awaitConnection(this)
  }

  /** Ends the connection and the exchange that it carries. */
  destroy(error?: StatusError): void {
    const exchange = this.#letGo()
    this.#socket.destroy()
    if (error !== undefined) exchange?.fail(error)
  }

  sendBody(chunk: Buffer): boolean {
    const socket = this.#socket
    if (this.#exchange?.request.bodyLength !== 'chunked') return socket.write(chunk)
    socket.cork()
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
    socket.write(chunk)
    const drained = socket.write('\r\n', 'latin1')
    socket.uncork()
    return drained
  }

  endBody(): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    if (exchange.request.bodyLength === 'chunked') this.#socket.write('0\r\n\r\n', 'latin1')
    if (!this.#parser.hasHead) this.#awaitHead(exchange.headTimeoutMs)
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  abandon(exchange: Exchange): void {
    if (this.#exchange === exchange) this.destroy()
  }

  onHead(statusCode: number, headers: RawHeaders): void {
    this.#awaitedMs = undefined
    const exchange = this.#exchange
    if (statusCode === 401) this.#owner.rejected()
    exchange?.sink.head(statusCode, headers)
    if (statusCode >= 400) exchange?.refuseBody()
  }

  onData(view: Buffer): void {
    if (this.#exchange?.sink.data(view) === false) this.#paused = true
  }

  onEnd(surplus: number): void {
    const exchange = this.#letGo()
    if (exchange === undefined) return
    if (surplus === 0 && this.#parser.keepAlive && exchange.isSent && this.#socket.writableLength === 0) {
      this.#used = true
      this.resume()
      this.#owner.released(this)
    } else {
      this.#socket.destroy()
    }
    exchange.succeed()
  }

  onError(problem: MalformedResponse): void {
    const { failures } = this.#owner
    this.destroy(this.#ended ? failures.brokenOff(problem) : failures.malformed(problem))
  }

  #send(exchange: Exchange): void {
    this.#parser.begin(exchange.request.method === 'HEAD' ? TO_HEAD : TO_OTHERS)
    this.#socket.write(exchange.head, 'latin1')
    exchange.connect(this)
  }

  /** Returns whether more may come. */
  #read(bytes: number, buffer: Uint8Array): boolean {
    if (this.#exchange === undefined) this.#socket.destroy()
    else this.#parser.push(Buffer.from(buffer.buffer, buffer.byteOffset, bytes))
    return !this.#paused
  }

  #awaitHead(timeoutMs: number): void {
    this.#awaitedMs = timeoutMs
    if (timeoutMs > LONGEST_TIMER_MS) return
    if (this.#timer !== undefined && this.#timerMs === timeoutMs) {
      this.#timer.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#timerMs = timeoutMs
    this.#timer = setTimeout(() => {
      if (this.#awaitedMs === timeoutMs) this.destroy(this.#owner.failures.late(timeoutMs))
    }, timeoutMs).unref()
  }

  #letGo(): Exchange | undefined {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#awaitedMs = undefined
    this.#parser.stop()
    return exchange
  }

  #closed(): void {
    clearTimeout(this.#timer)
    const exchange = this.#letGo()
    const unanswered = this.#used && !this.#parser.started && exchange?.isRepeatable === true
    this.#owner.gone(this, unanswered ? exchange : undefined)
    if (exchange === undefined || unanswered) return
    const { failures } = this.#owner
    const cause = this.#cause
    exchange.fail(
      this.#secured ? failures.brokenOff(cause) : failures.unreachable(cause ?? new Error('it closed the connection')),
    )
  }
}
