import { SpdyPortForward } from './port-forward-spdy.ts'
import type { PortForwardObserver } from './session-decoder.ts'
import type { ProtocolReader } from './session-protocol-reader.ts'
import type { SpdyFrameReader } from './spdy-frames.ts'
import type { Status } from '../status.ts'
import {
  type MaskedBytes,
  WebSocketFrameReader,
  type WebSocketSink,
  webSocketClose,
  webSocketMessage,
} from './websocket-frames.ts'

/**
 * A port-forward over SPDY that is carried in the binary messages of a WebSocket, whose bounds mean nothing.
 *
 * @see k8s.io/apiserver `pkg/util/proxy/streamtunnel.go`, k8s.io/client-go `tools/portforward` (v0.36), KEP-4006
 */
export class TunnelledPortForward implements ProtocolReader {
  readonly #spdy: SpdyPortForward
  readonly #client: WebSocketFrameReader
  readonly #upstream: WebSocketFrameReader

  constructor(observer: PortForwardObserver) {
    this.#spdy = new SpdyPortForward(observer)
    const rules = { allowsFragments: true, allows: new Set(['binary'] as const) }
    const { client, upstream } = this.#spdy.readers
    this.#client = new WebSocketFrameReader({ ...rules, isMasked: true }, new IntoSpdy(client))
    this.#upstream = new WebSocketFrameReader({ ...rules, isMasked: false }, new IntoSpdy(upstream))
  }

  get boundary(): number {
    return this.#upstream.boundary
  }

  fromClient(chunk: Uint8Array): void {
    this.#client.read(chunk)
  }

  fromUpstream(chunk: Uint8Array): void {
    this.#upstream.read(chunk)
  }

  ending(status: Status): Uint8Array {
    if (this.#upstream.isClosed) return Buffer.alloc(0)
    return Buffer.concat([webSocketMessage('binary', this.#spdy.ending(status)), webSocketClose()])
  }
}

/** Unmasks no payload that only has to be counted. */
class IntoSpdy implements WebSocketSink {
  readonly #spdy: SpdyFrameReader

  constructor(spdy: SpdyFrameReader) {
    this.#spdy = spdy
  }

  get isWhole(): boolean {
    return this.#spdy.atBoundary
  }

  payload(bytes: MaskedBytes): void {
    const spdy = this.#spdy
    for (let at = 0; at < bytes.length;) {
      const left = bytes.length - at
      const skipped = Math.min(spdy.skippable, left)
      if (skipped > 0) {
        spdy.skip(skipped)
        at += skipped
      } else {
        const revealed = bytes.reveal(at, at + Math.min(spdy.missing, left))
        spdy.read(revealed)
        at += revealed.length
      }
    }
  }

  messageEnded(): void {
    // The bounds of messages mean nothing.
  }

  closed(): void {
    // The SPDY connection ends with the tunnel.
  }
}
