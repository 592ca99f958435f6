import type { Socket } from 'node:net'
import type { RawHeaders } from '../kube/raw-headers.ts'

/** The head of a request to an API server. Host and the connector's own credential are added by the upstream. */
export interface UpstreamRequest {
  readonly method: string
  /** Origin-form target, sent byte for byte. */
  readonly target: string
  /** Flat list of names and values. Holds no framing, connection, host or authorization header. */
  readonly headers: RawHeaders
  /** Length of the body in bytes, or `chunked` when it is not known before the end. 0 sends no body. */
  readonly bodyLength: number | 'chunked'
}

/** Receives a response as it arrives. Exactly one of `end` and `error` is called, last. */
export interface ResponseSink {
  /** Called once, as soon as the head is there and before any body byte. Hop-by-hop headers are gone. */
  head(statusCode: number, headers: RawHeaders): void
  /** A view that is valid only during the call. Returning false asks for no more until `resume()`. */
  data(chunk: Buffer): boolean
  /** The response ended as its framing promised. */
  end(): void
  /** The upstream failed, answered out of protocol, or broke off. A `StatusError` when `head` was not called yet. */
  error(error: Error): void
}

/** A request under way. */
export interface UpstreamExchange {
  /** Sends body bytes. Returns false when the caller should wait for the drain callback. */
  write(chunk: Buffer): boolean
  /** The body is complete. */
  end(): void
  /** Lets a response flow again whose sink returned false. */
  resume(): void
  /** Ends the exchange and its connection at once; the sink is not called any more. Harmless after the end. */
  abort(): void
}

/** The answer to an upgrade request. On 101 the socket is the caller's to relay and destroy. */
export type UpgradeAnswer =
  | { readonly statusCode: 101; readonly headers: RawHeaders; readonly socket: Socket; readonly head: Buffer }
  | { readonly statusCode: number; readonly headers: RawHeaders; readonly socket: null; readonly body: Buffer }

/** How to reach one API server, and who the connector is there. */
export interface Upstream {
  /** Starts a request. `drain` is called when `write` may be used again. Never throws for network reasons. */
  send(request: UpstreamRequest, sink: ResponseSink, drain: () => void): UpstreamExchange
  /**
   * Dials a connection of its own and asks for the upgrade named in `headers`. Of a refusal at most 64 KiB
   * of body are kept, and the connection is gone.
   *
   * @throws StatusError 502, 503 or 504; or the signal's reason.
   */
  upgrade(request: UpstreamRequest, signal: AbortSignal): Promise<UpgradeAnswer>
  /** Resolves when the API server answers `GET /readyz` or `/version` to the connector's credential; throws why not. */
  probe(signal: AbortSignal): Promise<void>
  /** Open connections, idle ones included. */
  readonly openConnections: number
  /** Closes idle connections, lets none be opened any more, and destroys the rest. */
  close(): void
}
