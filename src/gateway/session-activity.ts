import type {
  PortForwardObserver,
  RemoteCommandObserver,
  RemoteCommandStream,
} from '../kube/session/session-decoder.ts'

const NOTHING: ReadonlySet<RemoteCommandStream> = new Set()

/** Counts what passes a session, and hands it on to whoever else observes it. */
export class SessionActivity {
  readonly remoteCommand: RemoteCommandObserver
  readonly portForward: PortForwardObserver
  #nowMs = performance.now()
  #lastMs = this.#nowMs
  #sentBytes = 0
  #receivedBytes = 0

  constructor(remoteCommand: RemoteCommandObserver | null, portForward: PortForwardObserver | null) {
    this.remoteCommand = {
      wanted: remoteCommand?.wanted ?? NOTHING,
      passed: (stream, byteLength) => {
        this.#count(stream === 'stdin' || stream === 'resize', byteLength)
        remoteCommand?.passed(stream, byteLength)
      },
      data: (stream, chunk) => remoteCommand?.data(stream, chunk),
      ended: (stream) => remoteCommand?.ended(stream),
    }
    this.portForward = {
      opened: (connection, port) => portForward?.opened(connection, port),
      passed: (connection, direction, byteLength) => {
        this.#count(direction === 'sent', byteLength)
        portForward?.passed(connection, direction, byteLength)
      },
      failed: (connection, message) => portForward?.failed(connection, message),
      closed: (connection) => portForward?.closed(connection),
    }
  }

  /** Milliseconds since payload last passed, or since the opening. */
  get idleMs(): number {
    return performance.now() - this.#lastMs
  }

  /** When payload last passed, in milliseconds since the epoch. */
  get lastAtMs(): number {
    return Date.now() - this.idleMs
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** A chunk came, of which the following is told. */
  arrived(): void {
    this.#nowMs = performance.now()
  }

  /** Bytes passed that cannot be told apart. */
  unread(): void {
    this.#lastMs = this.#nowMs
  }

  #count(isSent: boolean, byteLength: number): void {
    if (byteLength === 0) return
    this.#lastMs = this.#nowMs
    if (isSent) this.#sentBytes += byteLength
    else this.#receivedBytes += byteLength
  }
}
