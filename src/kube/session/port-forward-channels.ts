import type { PayloadSink } from './payload-sink.ts'
import { FailureText } from './port-forward-failure.ts'
import { type PortForwardObserver, UndecodableError } from './session-decoder.ts'
import type { ProtocolReader } from './session-protocol-reader.ts'
import type { Status } from '../status.ts'
import { channelMessage, channelReader } from './websocket-channels.ts'
import { type WebSocketFrameReader, webSocketClose } from './websocket-frames.ts'

/** Bytes of the port number, little-endian, that begin what the server sends on a channel. */
const PORT_BYTES = 2
/** With more, two channels would have the same number. */
const MAX_FORWARDED_PORTS = 128

/**
 * A port-forward over the channels of a WebSocket: 2i carries the bytes of the port at i, 2i+1 what the server says of
 * it. The server connects to every port at once, and cannot close one without the others.
 *
 * @see k8s.io/cri-streaming `pkg/streaming/portforward/websocket.go` (v0.36)
 */
export class ForwardedChannels implements ProtocolReader {
  readonly #ports: readonly number[]
  readonly #isBase64: boolean
  readonly #observer: PortForwardObserver
  readonly #client: WebSocketFrameReader
  readonly #upstream: WebSocketFrameReader
  #isOpen = false
  #isClosed = false

  constructor(ports: readonly number[], isBase64: boolean, observer: PortForwardObserver) {
    this.#ports = ports
    this.#isBase64 = isBase64
    this.#observer = observer
    const sent = ports.flatMap((_, index) => [this.#counted(index + 1, 'sent'), undefined])
    const received = ports.flatMap((port, index) => [
      new AfterPort(port, this.#counted(index + 1, 'received')),
      new AfterPort(port, this.#failure(index + 1)),
    ])
    this.#client = channelReader('client', isBase64, {
      channel: (number) => found(sent[number], number),
      messageEnded: () => undefined,
      closed: () => undefined,
    })
    let current: AfterPort | undefined
    this.#upstream = channelReader('upstream', isBase64, {
      channel: (number) => {
        current = found(received[number], number)
        return current
      },
      messageEnded: () => {
        current?.ended()
      },
      closed: () => {
        this.#close()
      },
    })
  }

  get boundary(): number {
    return this.#upstream.boundary
  }

  fromClient(chunk: Uint8Array): void {
    this.#begin()
    this.#client.read(chunk)
  }

  fromUpstream(chunk: Uint8Array): void {
    this.#begin()
    this.#upstream.read(chunk)
  }

  ending(status: Status): Uint8Array {
    if (this.#upstream.isClosed) return Buffer.alloc(0)
    const message = Buffer.from(status.message)
    const messages = this.#ports.map((_, index) => channelMessage(2 * index + 1, this.#isBase64, message))
    return Buffer.concat([...messages, webSocketClose()])
  }

  #begin(): void {
    if (this.#isOpen) return
    if (this.#ports.length > MAX_FORWARDED_PORTS) throw new UndecodableError('too many ports are forwarded')
    if (!this.#ports.every(isPort)) throw new UndecodableError('a port is asked for that is none')
    this.#isOpen = true
    this.#ports.forEach((port, index) => {
      this.#observer.opened(index + 1, port)
    })
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ports.forEach((_, index) => {
      this.#observer.closed(index + 1)
    })
  }

  #counted(connection: number, direction: 'sent' | 'received'): PayloadSink {
    return {
      wanted: false,
      passed: (byteLength) => {
        if (byteLength > 0) this.#observer.passed(connection, direction, byteLength)
      },
      data: () => undefined,
      ended: () => undefined,
    }
  }

  #failure(connection: number): PayloadSink {
    return new FailureText((message) => {
      this.#observer.failed(connection, message)
    })
  }
}

/** Takes the port number off. `ended` says that a message is whole. */
class AfterPort implements PayloadSink {
  readonly #port: readonly number[]
  readonly #sink: PayloadSink
  #seen = 0
  /** Bytes that passed while the port was not whole yet. */
  #uncounted = 0

  constructor(port: number, sink: PayloadSink) {
    this.#port = [port & 0xff, port >>> 8]
    this.#sink = sink
  }

  get wanted(): boolean {
    return this.#seen < PORT_BYTES || this.#sink.wanted
  }

  passed(byteLength: number): void {
    if (this.#seen < PORT_BYTES) this.#uncounted = byteLength
    else this.#sink.passed(byteLength)
  }

  data(chunk: Uint8Array): void {
    const rest = this.#seen < PORT_BYTES ? this.#withoutPort(chunk) : chunk
    if (rest.length > 0 && this.#sink.wanted) this.#sink.data(rest)
  }

  #withoutPort(chunk: Uint8Array): Uint8Array {
    let at = 0
    for (; this.#seen < PORT_BYTES && at < chunk.length; at++, this.#seen++) {
      if (chunk[at] !== this.#port[this.#seen]) throw new UndecodableError('a channel begins with another port')
    }
    if (this.#uncounted > at) this.#sink.passed(this.#uncounted - at)
    return chunk.subarray(at)
  }

  ended(): void {
    this.#sink.ended()
  }
}

function found<T extends PayloadSink>(value: T | undefined, channel: number): T {
  if (value === undefined) throw new UndecodableError(`a message is for channel ${channel}, which does not exist`)
  return value
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65535
}
