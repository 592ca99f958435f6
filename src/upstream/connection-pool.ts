import type { TLSSocket } from 'node:tls'
import { Connection, type ConnectionOwner } from './connection.ts'
import { Dialer } from './dialer.ts'
import type { Endpoint } from './endpoint.ts'
import type { Carrier, Exchange } from './exchange.ts'
import { UpstreamFailures } from './upstream-failures.ts'
import type { UpstreamLimits } from './upstream-limits.ts'

/** The most that TLS hands over at a time: one record (RFC 8446 section 5.1). */
const READ_BYTES = 16 * 1024
/** Into how many parts the idle time-out is divided: how often the pool looks. */
const SWEEPS = 4

/**
 * All connections to one API server: those that carry an exchange, idle ones, and those handed over for an
 * upgrade. An exchange takes the connection that was idle the shortest, else a fresh one, else it waits.
 */
export class ConnectionPool implements Carrier, ConnectionOwner {
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)
  readonly failures: UpstreamFailures
  readonly #endpoint: Endpoint
  readonly #limits: UpstreamLimits
  readonly #dialer: Dialer
  readonly #open = new Set<Connection>()
  readonly #tunnels = new Set<TLSSocket>()
  /** Longest idle first. */
  readonly #idle: Connection[] = []
  /** First come, first served; each with the timer that ends its waiting. */
  readonly #waiting = new Map<Exchange, NodeJS.Timeout>()
  #sweeper: NodeJS.Timeout | undefined
  #retired = false
  #closed = false

  constructor(endpoint: Endpoint, limits: UpstreamLimits) {
    this.failures = new UpstreamFailures(endpoint.authority)
    this.#endpoint = endpoint
    this.#limits = limits
    this.#dialer = new Dialer(endpoint, limits)
  }

  get size(): number {
    return this.#open.size + this.#tunnels.size
  }

  /** Gives the exchange a connection. What fails is reported to its sink, later. */
  carry(exchange: Exchange): void {
    let connection = this.#idle.pop()
    while (connection?.isAlive === false) connection = this.#idle.pop()
    if (connection !== undefined) connection.carry(exchange)
    else this.#carryAnew(exchange)
  }

  /**
   * Dials a connection that no other exchange will use; it counts until it is closed.
   *
   * @throws StatusError 429 or 503
   */
  dialTunnel(onRead: (view: Buffer) => void): TLSSocket {
    if (this.#closed) throw this.failures.closed()
    if (this.size >= this.#limits.maxConnections) throw this.failures.overloaded(this.#fullness())
    const socket = this.#dialer.dial({
      allowHalfOpen: true,
      onread: {
        buffer: () => this.readBuffer,
        callback(bytes, buffer) {
          onRead(Buffer.from(buffer.buffer, buffer.byteOffset, bytes))
          return true
        },
      },
    })
    this.#tunnels.add(socket)
    socket.once('close', () => {
      this.#tunnels.delete(socket)
      this.#admit()
    })
    return socket
  }

  /** Closes the idle connections, and from now on each when it is released. */
  retire(): void {
    this.#retired = true
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
    this.#idle.length = 0
    const error = this.failures.closed()
    for (const [exchange, timer] of this.#waiting) {
      clearTimeout(timer)
      this.#waiting.delete(exchange)
      exchange.fail(error)
    }
    for (const connection of this.#open) connection.destroy(error)
    for (const socket of this.#tunnels) socket.destroy()
  }

  rejected(): void {
    this.#endpoint.credential.rejected()
  }

  released(connection: Connection): void {
    const next = this.#nextWaiting()
    if (next !== undefined) connection.carry(next)
    else if (!this.#retired && this.#idle.length < this.#limits.maxIdleConnections) this.#keep(connection)
    else connection.destroy()
  }

  gone(connection: Connection, unanswered: Exchange | undefined): void {
    this.#open.delete(connection)
    const place = this.#idle.indexOf(connection)
    if (place !== -1) this.#idle.splice(place, 1)
    if (unanswered !== undefined) this.#carryAnew(unanswered)
    this.#admit()
  }

  sendBody(): boolean {
    return false
  }

  endBody(): void {
    // The exchange keeps what came early.
  }

  resume(): void {
    // Nothing flows yet.
  }

  abandon(exchange: Exchange): void {
    clearTimeout(this.#waiting.get(exchange))
    this.#waiting.delete(exchange)
  }

  #carryAnew(exchange: Exchange): void {
    exchange.awaitConnection(this)
    if (this.#closed) this.#failLater(exchange)
    else if (this.size < this.#limits.maxConnections) this.#dial(exchange)
    else if (this.#waiting.size < this.#limits.maxWaiting) this.#wait(exchange)
    else this.#failLater(exchange)
  }

  #dial(exchange: Exchange): void {
    const connection = new Connection(this.#dialer, this)
    this.#open.add(connection)
    connection.carry(exchange)
  }

  #wait(exchange: Exchange): void {
    const timer = setTimeout(() => {
      this.#waiting.delete(exchange)
      exchange.fail(this.failures.overloaded(this.#fullness()))
    }, this.#limits.waitTimeoutMs)
    this.#waiting.set(exchange, timer.unref())
  }

  /** Once the caller has its exchange. */
  #failLater(exchange: Exchange): void {
    const error = this.#closed ? this.failures.closed() : this.failures.overloaded(this.#fullness())
    setImmediate(() => {
      exchange.fail(error)
    })
  }

  #nextWaiting(): Exchange | undefined {
    const [first] = this.#waiting.keys()
    if (first !== undefined) this.abandon(first)
    return first
  }

  /** Dials for those that wait, as far as there is room. */
  #admit(): void {
    while (this.#waiting.size > 0 && this.size < this.#limits.maxConnections) {
      const next = this.#nextWaiting()
      if (next !== undefined) this.#dial(next)
    }
  }

  #keep(connection: Connection): void {
    connection.idleSweeps = 0
    this.#idle.push(connection)
    this.#sweeper ??= setInterval(() => {
      this.#sweep()
    }, this.#limits.idleTimeoutMs / SWEEPS).unref()
  }

  #sweep(): void {
    let expired = 0
    for (const connection of this.#idle) if (++connection.idleSweeps > SWEEPS) expired++
    for (const connection of this.#idle.splice(0, expired)) connection.destroy()
    if (this.#idle.length > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  #fullness(): string {
    return `${this.size} connections are open and ${this.#waiting.size} requests wait`
  }
}
