import { ForwardedChannels } from './port-forward-channels.ts'
import { SpdyPortForward } from './port-forward-spdy.ts'
import { TunnelledPortForward } from './port-forward-tunnel.ts'
import { SpdyRemoteCommand } from './remote-command-spdy.ts'
import { type RemoteCommandOptions, remoteCommandVersion } from './remote-command-streams.ts'
import { WebSocketRemoteCommand } from './remote-command-websocket.ts'
import {
  type PortForwardObserver,
  type RemoteCommandObserver,
  type SessionDecoder,
  type SessionProtocol,
  UndecodableError,
} from './session-decoder.ts'
import type { ProtocolReader } from './session-protocol-reader.ts'
import type { Status } from '../status.ts'

/** What the query of a port-forward asked for. */
export interface PortForwardOptions {
  /** The values of `ports`, in their order; only the WebSocket form before the tunnel has them. */
  readonly ports: readonly number[]
}

/** Reads an exec or attach. @param options what its query asked for. */
export function createRemoteCommandDecoder(
  { protocol, subprotocol }: SessionProtocol,
  options: RemoteCommandOptions,
  observer: RemoteCommandObserver,
): SessionDecoder {
  const version = remoteCommandVersion(subprotocol)
  if (protocol === 'SPDY/3.1') return new FirmDecoder(new SpdyRemoteCommand(version, options, observer))
  return new FirmDecoder(new WebSocketRemoteCommand(version, isBase64(subprotocol), options, observer))
}

/** Reads a port-forward. */
export function createPortForwardDecoder(
  { protocol, subprotocol }: SessionProtocol,
  options: PortForwardOptions,
  observer: PortForwardObserver,
): SessionDecoder {
  if (protocol === 'SPDY/3.1') return new FirmDecoder(new SpdyPortForward(observer))
  if (subprotocol.startsWith('SPDY/3.1+')) return new FirmDecoder(new TunnelledPortForward(observer))
  return new FirmDecoder(new ForwardedChannels(options.ports, isBase64(subprotocol), observer))
}

function isBase64(subprotocol: string): boolean {
  return subprotocol.includes('base64.')
}

/** Throws for ever once it threw, and nothing but an UndecodableError: a fault of ours must not let bytes pass either. */
class FirmDecoder implements SessionDecoder {
  readonly #reader: ProtocolReader
  #fed = 0
  #failure: UndecodableError | undefined

  constructor(reader: ProtocolReader) {
    this.#reader = reader
  }

  get bytesSinceBoundary(): number {
    return this.#fed - this.#reader.boundary
  }

  fromClient(chunk: Uint8Array): void {
    this.#read(() => {
      this.#reader.fromClient(chunk)
    })
  }

  fromUpstream(chunk: Uint8Array): void {
    this.#fed += chunk.length
    this.#read(() => {
      this.#reader.fromUpstream(chunk)
    })
  }

  ending(status: Status): Uint8Array {
    return this.#reader.ending(status)
  }

  #read(read: () => void): void {
    if (this.#failure !== undefined) throw this.#failure
    try {
      read()
    } catch (error) {
      this.#failure =
        error instanceof UndecodableError ? error : new UndecodableError('the bytes cannot be read', { cause: error })
      throw this.#failure
    }
  }
}
