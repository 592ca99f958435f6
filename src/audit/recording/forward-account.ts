import type { ForwardedConnection } from './recording-manifest.ts'

/** Connections that are listed; the manifest says how many more there were. */
const MAX_CONNECTIONS = 10_000

/** Longest error that is kept of a connection, in characters. */
const MAX_ERROR_CHARS = 1024

interface Connection {
  readonly port: number
  sentBytes: number
  receivedBytes: number
  readonly openedAtMs: number
  closedAtMs: number | null
  error: string
}

/** The account of what a port-forward carried. Connections beyond the bound are counted and no more. */
export class ForwardAccount {
  readonly #connections = new Map<number, Connection>()
  #dropped = 0

  opened(connection: number, port: number, atMs: number): void {
    if (this.#connections.size === MAX_CONNECTIONS) this.#dropped++
    else {
      this.#connections.set(connection, {
        port,
        sentBytes: 0,
        receivedBytes: 0,
        openedAtMs: atMs,
        closedAtMs: null,
        error: '',
      })
    }
  }

  passed(connection: number, direction: 'sent' | 'received', byteLength: number): void {
    const listed = this.#connections.get(connection)
    if (listed === undefined) return
    if (direction === 'sent') listed.sentBytes += byteLength
    else listed.receivedBytes += byteLength
  }

  failed(connection: number, message: string): void {
    const listed = this.#connections.get(connection)
    if (listed !== undefined) listed.error = (listed.error + message).slice(0, MAX_ERROR_CHARS)
  }

  /** Returns its account; undefined when it is not listed, or was closed before. */
  closed(connection: number, atMs: number): ForwardedConnection | undefined {
    const listed = this.#connections.get(connection)
    if (listed?.closedAtMs !== null) return undefined
    listed.closedAtMs = atMs
    return listed
  }

  get listed(): readonly ForwardedConnection[] {
    return [...this.#connections.values()]
  }

  get dropped(): number {
    return this.#dropped
  }
}
