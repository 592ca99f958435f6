import type { PayloadSink } from './payload-sink.ts'
import { UndecodableError } from './session-decoder.ts'
import { Base64Payload } from './websocket-base64.ts'
import { type MaskedBytes, WebSocketFrameReader, type WebSocketSink, webSocketMessage } from './websocket-frames.ts'
import { MAX_REVEALED_BYTES } from './websocket-mask.ts'

/** The messages of one direction, whose first byte says for which channel they are. */
export interface Channels {
  /** @throws UndecodableError for a channel on which this side may not send. */
  channel(number: number): PayloadSink
  messageEnded(): void
  closed(): void
}

const ZERO = '0'.charCodeAt(0)

/**
 * Reads a direction of `channel.k8s.io` and its kin.
 *
 * A client's messages in several frames are refused: the API server and the kubelet take every frame for a message of
 * its own, whose first byte is a channel. They take text for bytes, too, and the Python client relies on it.
 *
 * @see k8s.io/streaming `pkg/httpstream/wsstream/conn.go` (v0.36), golang.org/x/net `websocket/hybi.go`
 */
export function channelReader(
  side: 'client' | 'upstream',
  isBase64: boolean,
  channels: Channels,
): WebSocketFrameReader {
  const isClient = side === 'client'
  const allows = isClient ? (['text', 'binary'] as const) : ([isBase64 ? 'text' : 'binary'] as const)
  const rules = { isMasked: isClient, allowsFragments: !isClient, allows: new Set(allows) }
  return new WebSocketFrameReader(rules, new ChannelSink(isBase64, channels))
}

/** A message from the server on a channel. */
export function channelMessage(channel: number, isBase64: boolean, payload: Uint8Array): Uint8Array {
  if (!isBase64) return webSocketMessage('binary', Buffer.concat([Buffer.from([channel]), payload]))
  const base64 = Buffer.from(payload).toString('base64')
  return webSocketMessage('text', Buffer.from(`${String.fromCharCode(ZERO + channel)}${base64}`))
}

class ChannelSink implements WebSocketSink {
  readonly #isBase64: boolean
  readonly #channels: Channels
  readonly #base64 = new Base64Payload()
  #target: PayloadSink | undefined

  constructor(isBase64: boolean, channels: Channels) {
    this.#isBase64 = isBase64
    this.#channels = channels
  }

  payload(bytes: MaskedBytes): void {
    let start = 0
    if (this.#target === undefined) {
      const first = bytes.byte(0)
      this.#target = this.#channels.channel(this.#isBase64 ? first - ZERO : first)
      start = 1
    }
    if (start < bytes.length) this.#pass(this.#target, bytes, start)
  }

  messageEnded(): void {
    if (this.#isBase64) this.#base64.end()
    this.#target = undefined
    this.#channels.messageEnded()
  }

  closed(): void {
    this.#channels.closed()
  }

  #pass(target: PayloadSink, bytes: MaskedBytes, start: number): void {
    if (!this.#isBase64) {
      target.passed(bytes.length - start)
      if (!target.wanted) return
    }
    for (let at = start; at < bytes.length; at += MAX_REVEALED_BYTES) {
      const revealed = bytes.reveal(at, bytes.length)
      if (this.#isBase64) this.#passDecoded(target, this.#base64.decode(revealed))
      else target.data(revealed)
    }
  }

  #passDecoded(target: PayloadSink, decoded: Uint8Array): void {
    if (decoded.length === 0) return
    target.passed(decoded.length)
    if (target.wanted) target.data(decoded)
  }
}

/** Takes the one byte that names the channel whose sender closes it. @see KEP-4006 */
export class CloseSignal implements PayloadSink {
  readonly wanted = true
  readonly #close: (channel: number) => void
  #bytes = 0
  #channel = 0

  constructor(close: (channel: number) => void) {
    this.#close = close
  }

  passed(byteLength: number): void {
    this.#bytes += byteLength
    if (this.#bytes > 1) throw new UndecodableError('a close signal names more than one channel')
  }

  data(chunk: Uint8Array): void {
    this.#channel = chunk[0] ?? 0
  }

  /** The message is whole. */
  ended(): void {
    if (this.#bytes === 0) throw new UndecodableError('a close signal names no channel')
    this.#bytes = 0
    this.#close(this.#channel)
  }
}
