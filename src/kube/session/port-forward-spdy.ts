import { type PayloadSink, refusedPayload } from './payload-sink.ts'
import { FailureText } from './port-forward-failure.ts'
import { type PortForwardObserver, UndecodableError } from './session-decoder.ts'
import type { ProtocolReader } from './session-protocol-reader.ts'
import { SpdyConnection, type SpdySide, type SpdyStream, type SpdyStreams } from './spdy-connection.ts'
import { FLAG_FIN, type SpdyFrameReader, spdyDataFrame, spdyGoAway } from './spdy-frames.ts'
import type { SpdyHeaders } from './spdy-header-block.ts'
import type { Status } from '../status.ts'

/** Most connections that are open at a time, halves of them included. */
export const MAX_OPEN_CONNECTIONS = 4096
/** How many closed connections are remembered for what was still under way. */
export const MAX_CLOSED_CONNECTIONS = 1024
/** Longest request id, in bytes; kubectl counts from 0. */
const MAX_REQUEST_ID_BYTES = 64

type StreamType = 'error' | 'data'

/**
 * A port-forward over SPDY: for each connection a stream `error`, on which only the server speaks, and a stream `data`.
 *
 * A reset does not silence a server: it goes on with what the pod sends, so that is counted until the server closes
 * its error stream. Bytes that were under way are told even after `closed`.
 *
 * @see k8s.io/cri-streaming `pkg/streaming/portforward/httpstream.go`, k8s.io/client-go `tools/portforward` (v0.36)
 */
export class SpdyPortForward implements ProtocolReader, SpdyStreams {
  readonly #observer: PortForwardObserver
  readonly #connection = new SpdyConnection(this)
  readonly #streams = new Map<number, ForwardedStream>()
  /** Connections of which one stream is open as yet, by their request id. */
  readonly #halves = new Map<string, ForwardedConnection>()
  readonly #open = new Set<ForwardedConnection>()
  readonly #closed = new Set<ForwardedConnection>()
  #opened = 0

  constructor(observer: PortForwardObserver) {
    this.#observer = observer
  }

  get boundary(): number {
    return this.#connection.fromUpstream.boundary
  }

  /** For a SPDY connection that is itself carried by something else. */
  get readers(): Readonly<Record<SpdySide, SpdyFrameReader>> {
    return { client: this.#connection.fromClient, upstream: this.#connection.fromUpstream }
  }

  fromClient(chunk: Uint8Array): void {
    this.#connection.fromClient.read(chunk)
  }

  fromUpstream(chunk: Uint8Array): void {
    this.#connection.fromUpstream.read(chunk)
  }

  open(id: number, headers: SpdyHeaders): SpdyStream {
    const type = headers.get('streamtype')
    if (type !== 'error' && type !== 'data') throw new UndecodableError('the client opened a stream of an unknown type')
    const port = parsePort(headers.get('port'))
    const requestId = headers.get('requestid') ?? ''
    if (requestId.length > MAX_REQUEST_ID_BYTES) throw new UndecodableError('a request id is too long')
    // The server pairs the streams of clients without request ids in this way.
    const pair = requestId === '' ? String(type === 'error' ? id : id - 2) : requestId
    const connection = this.#halves.get(pair) ?? this.#begin(pair, port)
    if (connection.port !== port) throw new UndecodableError('the two streams of a connection name different ports')
    if (connection[type] !== undefined) throw new UndecodableError('a connection has two streams of one kind')
    const stream = this.#createStream(id, type, connection)
    connection[type] = stream
    if (connection.error !== undefined && connection.data !== undefined) this.#halves.delete(pair)
    this.#streams.set(id, stream)
    return stream
  }

  find(id: number): SpdyStream | undefined {
    return this.#streams.get(id)
  }

  /** Each connection's client is told; a client without a connection learns only that it is over. */
  ending(status: Status): Uint8Array {
    const message = Buffer.from(status.message)
    const frames: Uint8Array[] = []
    for (const { error, data } of this.#open) {
      if (error?.canBeWritten === true) frames.push(spdyDataFrame(error.id, message, FLAG_FIN))
      if (data?.canBeWritten === true) frames.push(spdyDataFrame(data.id, Buffer.alloc(0), FLAG_FIN))
    }
    return Buffer.concat([...frames, spdyGoAway(this.#connection.lastStreamId)])
  }

  #begin(pair: string, port: number): ForwardedConnection {
    if (this.#open.size === MAX_OPEN_CONNECTIONS) throw new UndecodableError('too many connections are forwarded')
    this.#opened += 1
    const connection: ForwardedConnection = { number: this.#opened, port, error: undefined, data: undefined }
    this.#halves.set(pair, connection)
    this.#open.add(connection)
    this.#observer.opened(connection.number, port)
    return connection
  }

  #createStream(id: number, type: StreamType, connection: ForwardedConnection): ForwardedStream {
    const over = (): void => {
      this.#closeIfOver(connection)
    }
    return new ForwardedStream(
      id,
      type,
      type === 'error' ? this.#errorSinks(connection) : this.#dataSinks(connection),
      over,
    )
  }

  #errorSinks(connection: ForwardedConnection): Readonly<Record<SpdySide, PayloadSink>> {
    const failure = new FailureText((message) => {
      this.#observer.failed(connection.number, message)
    })
    return { client: refusedPayload('the error stream of a connection'), upstream: failure }
  }

  #dataSinks(connection: ForwardedConnection): Readonly<Record<SpdySide, PayloadSink>> {
    const counted = (direction: 'sent' | 'received'): PayloadSink => ({
      wanted: false,
      passed: (byteLength) => {
        if (byteLength > 0) this.#observer.passed(connection.number, direction, byteLength)
      },
      data: () => undefined,
      ended: () => undefined,
    })
    return { client: counted('sent'), upstream: counted('received') }
  }

  #closeIfOver(connection: ForwardedConnection): void {
    const { error, data } = connection
    if (error?.isOver !== true || data?.isOver !== true || !this.#open.delete(connection)) return
    this.#observer.closed(connection.number)
    this.#closed.add(connection)
    if (this.#closed.size <= MAX_CLOSED_CONNECTIONS) return
    const [oldest] = this.#closed
    if (oldest === undefined) return
    this.#closed.delete(oldest)
    for (const stream of [oldest.error, oldest.data]) if (stream !== undefined) this.#streams.delete(stream.id)
  }
}

interface ForwardedConnection {
  readonly number: number
  readonly port: number
  error: ForwardedStream | undefined
  data: ForwardedStream | undefined
}

/** What the server sends last on a stream, FIN or a reset, makes it over; so does the client's reset of `data`. */
class ForwardedStream implements SpdyStream {
  readonly id: number
  readonly sinks: Readonly<Record<SpdySide, PayloadSink>>
  readonly #type: StreamType
  readonly #over: () => void
  accepted = false
  #upstreamEnded = false
  #isOver = false

  constructor(id: number, type: StreamType, sinks: Readonly<Record<SpdySide, PayloadSink>>, over: () => void) {
    this.id = id
    this.#type = type
    this.#over = over
    this.sinks = {
      client: sinks.client,
      upstream: new EndingSink(sinks.upstream, () => {
        this.#endUpstream()
      }),
    }
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get canBeWritten(): boolean {
    return this.accepted && !this.#upstreamEnded
  }

  reset(side: SpdySide): void {
    if (side === 'client' && this.#type === 'data') this.#finish()
  }

  #endUpstream(): void {
    this.#upstreamEnded = true
    this.#finish()
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#over()
  }
}

/** Tells of the end besides. */
class EndingSink implements PayloadSink {
  readonly #sink: PayloadSink
  readonly #ended: () => void

  constructor(sink: PayloadSink, ended: () => void) {
    this.#sink = sink
    this.#ended = ended
  }

  get wanted(): boolean {
    return this.#sink.wanted
  }

  passed(byteLength: number): void {
    this.#sink.passed(byteLength)
  }

  data(chunk: Uint8Array): void {
    this.#sink.data(chunk)
  }

  ended(): void {
    this.#sink.ended()
    this.#ended()
  }
}

function parsePort(text: string | undefined): number {
  const port = text !== undefined && /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65535) throw new UndecodableError('a stream names no port')
  return port
}
