import type { PayloadSink } from './payload-sink.ts'
import { type RemoteCommandOptions, RemoteCommandSink, SENDER, outcomeBytes } from './remote-command-streams.ts'
import { type RemoteCommandObserver, type RemoteCommandStream, UndecodableError } from './session-decoder.ts'
import type { ProtocolReader } from './session-protocol-reader.ts'
import type { Status } from '../status.ts'
import { type Channels, CloseSignal, channelMessage, channelReader } from './websocket-channels.ts'
import { type WebSocketFrameReader, webSocketClose } from './websocket-frames.ts'

const CHANNELS: readonly RemoteCommandStream[] = ['stdin', 'stdout', 'stderr', 'error', 'resize']
const ERROR_CHANNEL = 3
/** Closes one channel. */
const CLOSE_CHANNEL = 255
/** The version since which a channel can be closed. */
const CLOSE_VERSION = 5

/**
 * An exec or attach over a WebSocket.
 *
 * @see k8s.io/apiserver `pkg/util/proxy/websocket.go`, k8s.io/cri-streaming `pkg/streaming/remotecommand/websocket.go`
 * (v0.36)
 */
export class WebSocketRemoteCommand implements ProtocolReader {
  readonly #version: number
  readonly #isBase64: boolean
  readonly #sinks: Readonly<Record<RemoteCommandStream, RemoteCommandSink>>
  readonly #client: WebSocketFrameReader
  readonly #upstream: WebSocketFrameReader
  readonly #hasResize: boolean
  #outcomeSaid = false

  constructor(version: number, isBase64: boolean, options: RemoteCommandOptions, observer: RemoteCommandObserver) {
    this.#version = version
    this.#isBase64 = isBase64
    const sink = (stream: RemoteCommandStream) => new RemoteCommandSink(observer, stream)
    this.#sinks = {
      error: sink('error'),
      stdin: sink('stdin'),
      stdout: sink('stdout'),
      stderr: sink('stderr'),
      resize: sink('resize'),
    }
    // Servers read sizes without a terminal as well, and client-node sends them.
    const asked = { ...options, error: true, resize: true }
    this.#hasResize = options.tty
    this.#client = channelReader('client', isBase64, this.#clientChannels(asked))
    this.#upstream = channelReader('upstream', isBase64, this.#upstreamChannels(asked))
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
    if (this.#upstream.isClosed || this.#outcomeSaid) return Buffer.alloc(0)
    const outcome = channelMessage(ERROR_CHANNEL, this.#isBase64, outcomeBytes(this.#version, status))
    return Buffer.concat([outcome, webSocketClose()])
  }

  #clientChannels(asked: AskedStreams): Channels {
    const close = new CloseSignal((channel) => {
      this.#find(channel, 'client', asked).ended()
    })
    let isClosing = false
    return {
      channel: (number) => {
        isClosing = number === CLOSE_CHANNEL && this.#version >= CLOSE_VERSION
        return isClosing ? close : this.#open(number, asked)
      },
      messageEnded: () => {
        if (isClosing) close.ended()
        isClosing = false
      },
      closed: () => {
        this.#endAll('client', asked)
      },
    }
  }

  #upstreamChannels(asked: AskedStreams): Channels {
    return {
      channel: (number) => this.#find(number, 'upstream', asked),
      messageEnded: () => {
        this.#outcomeSaid = this.#sinks.error.isUsed
      },
      closed: () => {
        this.#endAll('upstream', asked)
      },
    }
  }

  /** What follows the end of a channel is thrown away by the server; a client that sends it has lost its way. */
  #open(channel: number, asked: AskedStreams): PayloadSink {
    const sink = this.#find(channel, 'client', asked)
    if (sink.hasEnded) throw new UndecodableError(`data follows the end of channel ${channel}`)
    return sink
  }

  #find(channel: number, side: 'client' | 'upstream', asked: AskedStreams): RemoteCommandSink {
    const stream = CHANNELS[channel]
    if (stream === undefined) throw new UndecodableError(`a message is for channel ${channel}, which does not exist`)
    if (SENDER[stream] !== side) throw new UndecodableError(`${stream} carries data in the wrong direction`)
    if (!asked[stream]) throw new UndecodableError(`a message is for ${stream}, which was not asked for`)
    return this.#sinks[stream]
  }

  #endAll(side: 'client' | 'upstream', asked: AskedStreams): void {
    for (const stream of CHANNELS) {
      const isThere = stream === 'resize' ? this.#hasResize || this.#sinks.resize.isUsed : asked[stream]
      if (SENDER[stream] === side && isThere) this.#sinks[stream].ended()
    }
  }
}

type AskedStreams = Readonly<Record<RemoteCommandStream, boolean>>
