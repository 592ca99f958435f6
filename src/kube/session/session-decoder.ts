import type { Status } from '../status.ts'

/** The streams of an exec or attach. `error` carries its outcome, `resize` the sizes of the terminal. */
export type RemoteCommandStream = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize'

/** Told what an exec or attach carries, in the order of the bytes. It must not throw. */
export interface RemoteCommandObserver {
  /** The streams whose bytes are handed over; of the others only the lengths are told. */
  readonly wanted: ReadonlySet<RemoteCommandStream>
  /** So many bytes of payload passed, framing and base64 taken off. Told of every stream, before {@link data}. */
  passed(stream: RemoteCommandStream, byteLength: number): void
  /** The payload of a wanted stream: a view that is valid only during the call. Never empty. */
  data(stream: RemoteCommandStream, chunk: Uint8Array): void
  /** Its sender closed the stream. At most once for each. What honest peers let slip after it is told all the same. */
  ended(stream: RemoteCommandStream): void
}

/** Told what a port-forward carries. It must not throw. Connections are numbered from 1 in the order of their opening. */
export interface PortForwardObserver {
  opened(connection: number, port: number): void
  /** So many bytes passed: `sent` towards the pod, `received` from it. */
  passed(connection: number, direction: 'sent' | 'received', byteLength: number): void
  /** What the server said on the connection's error stream, at most 1,024 bytes of it. */
  failed(connection: number, message: string): void
  /** At most once for each. Bytes that were under way are told even after it. */
  closed(connection: number): void
}

/** Bytes that do not say beyond doubt what the session carries. The message is one sentence for people. */
export class UndecodableError extends Error {
  override readonly name = 'UndecodableError'
}

/**
 * Reads along with the bytes of a session and never alters them. Each direction is fed in order, in pieces of any
 * size; a chunk's memory is not kept after the call. Memory is bounded whatever is fed.
 */
export interface SessionDecoder {
  /** @throws UndecodableError, and from then on at every call. */
  fromClient(chunk: Uint8Array): void
  /** @throws UndecodableError, and from then on at every call. */
  fromUpstream(chunk: Uint8Array): void
  /**
   * How many of the bytes fed from upstream came behind the last place where {@link ending} may be put: those of a
   * frame, or of a message in fragments, that is not whole yet. 0 when it may be put right behind them.
   */
  readonly bytesSinceBoundary: number
  /**
   * The bytes that end the session for the client, who prints the status's message: the outcome on the error stream,
   * then what the protocol closes with. Empty when the protocol has no way to say it (yet). They are put at the last
   * boundary, the bytes since then being left out. After an UndecodableError too, for what was understood before it.
   */
  ending(status: Status): Uint8Array
}

/** What the two sides agreed to speak. */
export interface SessionProtocol {
  readonly protocol: 'SPDY/3.1' | 'websocket'
  /** Such as `v5.channel.k8s.io`; empty for a WebSocket that agreed on none, which then speaks `channel.k8s.io`. */
  readonly subprotocol: string
}
