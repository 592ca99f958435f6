import type { PayloadSink } from './payload-sink.ts'
import { UndecodableError } from './session-decoder.ts'
import { CONTROL, FLAG_FIN, MAX_SETTINGS, SpdyFrameReader } from './spdy-frames.ts'
import { SpdyHeaderBlocks, type SpdyHeaders } from './spdy-header-block.ts'

export type SpdySide = 'client' | 'upstream'

/** A stream that the client opened. */
export interface SpdyStream {
  /** Where the payload of each side goes. */
  readonly sinks: Readonly<Record<SpdySide, PayloadSink>>
  /** The server took the stream. Before it did, the client heeds nothing that comes on it. */
  accepted: boolean
  /** The side wants no more of the stream, and sends no more of its own accord. */
  reset(side: SpdySide): void
}

/** Keeps the streams of a connection. */
export interface SpdyStreams {
  /** @throws UndecodableError for a stream that may not be opened. */
  open(streamId: number, headers: SpdyHeaders): SpdyStream
  /** Any stream that a side may still send on, by mistake or late. */
  find(streamId: number): SpdyStream | undefined
  /** A whole frame came from upstream. */
  upstreamFrameEnded?(): void
}

/**
 * Reads both directions of a SPDY/3.1 connection as Kubernetes' peers, which all use moby/spdystream, read them. What
 * they would read in another way, or do not use, is refused: only the client opens streams, with rising odd ids.
 */
export class SpdyConnection {
  readonly fromClient: SpdyFrameReader
  readonly fromUpstream: SpdyFrameReader
  readonly #streams: SpdyStreams
  readonly #headers: Readonly<Record<SpdySide, SpdyHeaderBlocks>> = {
    client: new SpdyHeaderBlocks(),
    upstream: new SpdyHeaderBlocks(),
  }
  #lastStreamId = 0

  constructor(streams: SpdyStreams) {
    this.#streams = streams
    this.fromClient = new SpdyFrameReader({
      dataFrame: (id) => this.#find(id).sinks.client,
      controlFrame: (type, flags, payload) => {
        this.#control('client', type, flags, payload)
      },
    })
    this.fromUpstream = new SpdyFrameReader({
      dataFrame: (id) => this.#find(id).sinks.upstream,
      controlFrame: (type, flags, payload) => {
        this.#control('upstream', type, flags, payload)
      },
      frameEnded: () => streams.upstreamFrameEnded?.(),
    })
  }

  /** 0 before the first stream. */
  get lastStreamId(): number {
    return this.#lastStreamId
  }

  #find(streamId: number): SpdyStream {
    const stream = this.#streams.find(streamId)
    if (stream === undefined) throw new UndecodableError(`a SPDY frame is for stream ${streamId}, which nobody opened`)
    return stream
  }

  #control(side: SpdySide, type: number, flags: number, payload: Buffer): void {
    if (flags !== 0 && !mayHaveFlag(type, flags)) throw new UndecodableError('a SPDY frame has unknown flags')
    switch (type) {
      case CONTROL.synStream:
        this.#open(side, flags, payload)
        break
      case CONTROL.synReply:
        this.#accept(side, flags, payload)
        break
      case CONTROL.rstStream:
        this.#reset(side, payload)
        break
      case CONTROL.settings: {
        const count = payload.readUInt32BE(0)
        if (count > MAX_SETTINGS || payload.length !== 4 + 8 * count) {
          throw new UndecodableError('a SPDY SETTINGS frame does not have as many entries as it says')
        }
        break
      }
      case CONTROL.ping:
        if (payload.readUInt32BE(0) === 0) throw new UndecodableError('a SPDY PING frame has no id')
        break
      default:
      // GOAWAY and WINDOW_UPDATE change nothing: either side may still send, and Kubernetes has no flow control.
    }
  }

  #open(side: SpdySide, flags: number, payload: Buffer): void {
    if (side !== 'client') throw new UndecodableError('the server opened a SPDY stream')
    const id = payload.readUInt32BE(0)
    const isNext = id > this.#lastStreamId && id % 2 === 1 && id < 0x80000000
    if (!isNext) throw new UndecodableError(`the client opened a SPDY stream with the id ${id}, which is not its turn`)
    if (payload.readUInt32BE(4) !== 0) throw new UndecodableError('a SPDY stream depends on another one')
    const headers = this.#headers.client.read(payload.subarray(10))
    const stream = this.#streams.open(id, headers)
    this.#lastStreamId = id
    if (flags === FLAG_FIN) stream.sinks.client.ended()
  }

  #accept(side: SpdySide, flags: number, payload: Buffer): void {
    if (side !== 'upstream') throw new UndecodableError('the client answered a SPDY stream, which only the server may')
    const stream = this.#find(payload.readUInt32BE(0))
    this.#headers.upstream.read(payload.subarray(4))
    if (stream.accepted) throw new UndecodableError('a SPDY stream was answered twice')
    stream.accepted = true
    if (flags === FLAG_FIN) stream.sinks.upstream.ended()
  }

  #reset(side: SpdySide, payload: Buffer): void {
    const stream = this.#find(payload.readUInt32BE(0))
    if (payload.readUInt32BE(4) === 0) throw new UndecodableError('a SPDY RST_STREAM frame has no status')
    stream.sinks[side].ended()
    stream.reset(side)
  }
}

/** The only flag is 1: FIN, or that the persisted settings are to be cleared. */
function mayHaveFlag(type: number, flags: number): boolean {
  return flags === 1 && (type === CONTROL.synStream || type === CONTROL.synReply || type === CONTROL.settings)
}
