import { refusedPayload } from './payload-sink.ts'
import { type RemoteCommandOptions, RemoteCommandSink, SENDER, outcomeBytes } from './remote-command-streams.ts'
import { type RemoteCommandObserver, type RemoteCommandStream, UndecodableError } from './session-decoder.ts'
import type { ProtocolReader } from './session-protocol-reader.ts'
import { SpdyConnection, type SpdyStream, type SpdyStreams } from './spdy-connection.ts'
import { FLAG_FIN, spdyDataFrame, spdyGoAway } from './spdy-frames.ts'
import type { SpdyHeaders } from './spdy-header-block.ts'
import type { Status } from '../status.ts'

interface OpenStream extends SpdyStream {
  readonly id: number
  readonly sender: RemoteCommandSink
}

/** The version since which terminals can be resized. */
const RESIZE_VERSION = 3

/**
 * An exec or attach over SPDY. What honest peers send late is told like everything else: kubectl goes on sending what
 * is typed after the server closed stdin, and a server sends output after the client reset stdout.
 *
 * @see k8s.io/cri-streaming `pkg/streaming/remotecommand/httpstream.go` (v0.36)
 */
export class SpdyRemoteCommand implements ProtocolReader, SpdyStreams {
  readonly #version: number
  readonly #asked: ReadonlySet<string>
  readonly #observer: RemoteCommandObserver
  readonly #connection = new SpdyConnection(this)
  readonly #byId = new Map<number, OpenStream>()
  readonly #byName = new Map<string, OpenStream>()
  #outcomeSaid = false

  constructor(version: number, options: RemoteCommandOptions, observer: RemoteCommandObserver) {
    this.#version = version
    this.#observer = observer
    this.#asked = askedStreams(version, options)
  }

  get boundary(): number {
    return this.#connection.fromUpstream.boundary
  }

  fromClient(chunk: Uint8Array): void {
    this.#connection.fromClient.read(chunk)
  }

  fromUpstream(chunk: Uint8Array): void {
    this.#connection.fromUpstream.read(chunk)
  }

  open(id: number, headers: SpdyHeaders): SpdyStream {
    const type = headers.get('streamtype') ?? ''
    if (!isStream(type)) throw new UndecodableError('the client opened a stream of an unknown type')
    if (!this.#asked.has(type)) throw new UndecodableError(`the client opened ${type}, which it had not asked for`)
    if (this.#byName.has(type)) throw new UndecodableError(`the client opened ${type} twice`)
    const sender = new RemoteCommandSink(this.#observer, type)
    const silent = refusedPayload(type)
    const sinks =
      SENDER[type] === 'client' ? { client: sender, upstream: silent } : { client: silent, upstream: sender }
    const stream: OpenStream = { id, sender, sinks, accepted: false, reset: () => undefined }
    this.#byId.set(id, stream)
    this.#byName.set(type, stream)
    return stream
  }

  find(id: number): SpdyStream | undefined {
    return this.#byId.get(id)
  }

  upstreamFrameEnded(): void {
    this.#outcomeSaid = this.#byName.get('error')?.sender.isUsed ?? false
  }

  ending(status: Status): Uint8Array {
    const error = this.#byName.get('error')
    if (error?.accepted !== true || error.sender.hasEnded || this.#outcomeSaid) return Buffer.alloc(0)
    const frames = [spdyDataFrame(error.id, outcomeBytes(this.#version, status), FLAG_FIN)]
    // A client waits for the end of all output before it looks at the outcome.
    for (const stream of [this.#byName.get('stdout'), this.#byName.get('stderr')]) {
      if (stream?.sender.hasEnded === false) frames.push(spdyDataFrame(stream.id, Buffer.alloc(0), FLAG_FIN))
    }
    return Buffer.concat([...frames, spdyGoAway(this.#connection.lastStreamId)])
  }
}

function isStream(type: string): type is RemoteCommandStream {
  return Object.hasOwn(SENDER, type)
}

function askedStreams(version: number, options: RemoteCommandOptions): ReadonlySet<string> {
  const asked = new Set<RemoteCommandStream>(['error'])
  if (options.stdin) asked.add('stdin')
  if (options.stdout) asked.add('stdout')
  if (options.stderr) asked.add('stderr')
  if (options.tty && version >= RESIZE_VERSION) asked.add('resize')
  return asked
}
