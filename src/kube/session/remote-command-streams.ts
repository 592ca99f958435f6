import type { PayloadSink } from './payload-sink.ts'
import type { RemoteCommandObserver, RemoteCommandStream } from './session-decoder.ts'
import { type Status, renderStatus } from '../status.ts'

/** The streams that the query of an exec or attach asked for. */
export interface RemoteCommandOptions {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

/** Which side sends on a stream. */
export const SENDER: Readonly<Record<RemoteCommandStream, 'client' | 'upstream'>> = {
  error: 'upstream',
  stdin: 'client',
  stdout: 'upstream',
  stderr: 'upstream',
  resize: 'client',
}

/** What the sender of a stream sends on it, told to the observer. */
export class RemoteCommandSink implements PayloadSink {
  readonly wanted: boolean
  readonly #observer: RemoteCommandObserver
  readonly #stream: RemoteCommandStream
  #bytes = 0
  #hasEnded = false

  constructor(observer: RemoteCommandObserver, stream: RemoteCommandStream) {
    this.wanted = observer.wanted.has(stream)
    this.#observer = observer
    this.#stream = stream
  }

  /** Whether anything came. */
  get isUsed(): boolean {
    return this.#bytes > 0
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  passed(byteLength: number): void {
    if (byteLength === 0) return
    this.#bytes += byteLength
    this.#observer.passed(this.#stream, byteLength)
  }

  data(chunk: Uint8Array): void {
    if (chunk.length > 0) this.#observer.data(this.#stream, chunk)
  }

  ended(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#observer.ended(this.#stream)
  }
}

/** 1 to 5. @param subprotocol such as `v5.channel.k8s.io`, `base64.channel.k8s.io` or the empty one. */
export function remoteCommandVersion(subprotocol: string): number {
  return Number(/^v([2-5])\./.exec(subprotocol)?.[1] ?? 1)
}

/** How the error stream says what went wrong: as JSON from version 4 on, in plain words before. */
export function outcomeBytes(version: number, status: Status): Uint8Array {
  return version >= 4 ? renderStatus(status) : Buffer.from(status.message)
}
