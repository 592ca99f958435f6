import type { Socket } from 'node:net'
import type { RawHeaders } from '../kube/raw-headers.ts'

/** The head of a request to an API server. Host and the connector's own credential are added by the upstream. */
export interface UpstreamRequest {
  /** A method of upper-case letters; not CONNECT. */
  readonly method: string
  /** Origin-form target, sent byte for byte (after the path of the server's address, where it has one). */
  readonly target: string
  /** Flat list of names and values. Holds no framing, connection, host or authorization header. */
  readonly headers: RawHeaders
  /** Length of the body in bytes, or `chunked` when it is not known before the end. 0 sends no body. */
  readonly bodyLength: number | 'chunked'
  /**
   * From the end of the request to the head of the answer, in milliseconds. `Infinity` waits for ever, as a
   * `logs -f` of a silent container needs. Default: the upstream's own. A body that has begun has no timeout.
   */
  readonly responseHeadTimeoutMs?: number
}

/**
 * Receives a response as it arrives. Exactly one of `end` and `error` is called, last; neither is after an
 * abort. Nothing is called before `send` has returned.
 */
export interface ResponseSink {
  /** Called once, as soon as the head is there and before any body byte. Hop-by-hop headers are gone. */
  head(statusCode: number, headers: RawHeaders): void
  /**
   * A view that is valid only during the call: its memory is used again for the next read, so what is kept
   * must be copied. Returning false asks for no more until `resume()`; what was read from the network by then,
   * at most some 64 KiB, still comes.
   */
  data(chunk: Buffer): boolean
  /** The response ended as its framing promised. */
  end(): void
  /** The upstream failed, answered out of protocol, or broke off. A `StatusError` when `head` was not called yet. */
  error(error: Error): void
}

/** A request under way. */
export interface UpstreamExchange {
  /**
   * Sends body bytes; the chunk's memory is the upstream's until it is sent. Returns false when the caller
   * should wait for the drain callback. Once the answer is a refusal or is over, bytes are dropped.
   */
  write(chunk: Buffer): boolean
  /** The body is complete. Not needed when `bodyLength` is 0. */
  end(): void
  /** Lets a response flow again whose sink returned false. */
  resume(): void
  /** Ends the exchange and its connection at once; the sink is not called any more. Harmless after the end. */
  abort(): void
}

/** The answer to an upgrade request. */
export type UpgradeAnswer =
  | {
      readonly statusCode: 101
      readonly headers: RawHeaders
      /** What the upstream says it switched to: its `Upgrade` header, empty when it sent none. */
      readonly protocol: string
      /**
       * The caller's to relay and destroy; also destroyed when the upstream is closed. Paused, open for half-closing,
       * and its errors are swallowed: whoever takes it looks at `destroyed` first and listens to `close`. It tells no
       * `data`, see {@link read}.
       */
      readonly socket: Socket
      /**
       * Lets the socket flow, and hands over what came and comes behind the head: views that are valid only during
       * the call, as their memory is used again. Once it is paused, what was read by then still comes: some 64 KiB.
       */
      readonly read: (onChunk: (view: Buffer) => void) => void
    }
  | {
      readonly statusCode: number
      readonly headers: RawHeaders
      readonly socket: null
      /** At most 64 KiB; what came beyond is cut off. */
      readonly body: Buffer
    }

/** How to reach one API server, and who the connector is there. */
export interface Upstream {
  /**
   * Starts a request. `drain` is called when `write` may be used again.
   *
   * @throws TypeError when the request cannot be written as one request: a bug of the caller. Never for network reasons.
   */
  send(request: UpstreamRequest, sink: ResponseSink, drain: () => void): UpstreamExchange
  /**
   * Dials a connection of its own and asks to switch to `protocol`, such as `SPDY/3.1` or `websocket`. After any
   * answer but 101 that connection is gone. Whether the answer is the one asked for is the caller's to check.
   *
   * @throws StatusError 429, 502, 503 or 504; or the signal's reason; TypeError as with `send`.
   */
  upgrade(request: UpstreamRequest, protocol: string, signal: AbortSignal): Promise<UpgradeAnswer>
  /** Resolves when the API server answers `GET /readyz` or `/version` to the connector's credential; throws a StatusError that says why not. */
  probe(signal: AbortSignal): Promise<void>
  /** What an operator should look at although it works, in one line; empty or absent when all is well. */
  readonly problem?: string
  /** Open connections: idle ones, those being dialled and those handed over by `upgrade` included. */
  readonly openConnections: number
  /** Closes every connection, lets none be opened any more, and lets go of the credential. */
  close(): void
}
