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

/** The account of what a port-forward carried. Connections beyond the bound are known only while they are open. */
export class ForwardAccount {
  readonly #listed = new Map<number, Connection>()
  readonly #unlisted = new Map<number, Connection>()
  #dropped = 0

  opened(connection: number, port: number, atMs: number): void {
    const account = { port, sentBytes: 0, receivedBytes: 0, openedAtMs: atMs, closedAtMs: null, error: '' }
    if (this.#listed.size < MAX_CONNECTIONS) this.#listed.set(connection, account)
    else {
      this.#dropped++
      this.#unlisted.set(connection, account)
    }
  }

  passed(connection: number, direction: 'sent' | 'received', byteLength: number): void {
    const account = this.#find(connection)
    if (account === undefined) return
    if (direction === 'sent') account.sentBytes += byteLength
    else account.receivedBytes += byteLength
  }

  failed(connection: number, message: string): void {
    const account = this.#find(connection)
    if (account !== undefined) account.error = (account.error + message).slice(0, MAX_ERROR_CHARS)
  }

  /** Returns its account; undefined when it was closed before. */
  closed(connection: number, atMs: number): ForwardedConnection | undefined {
    const account = this.#find(connection)
    if (account?.closedAtMs !== null) return undefined
    account.closedAtMs = atMs
    this.#unlisted.delete(connection)
    return account
  }

  get listed(): readonly ForwardedConnection[] {
    return [...this.#listed.values()]
  }

  /** Those that are open and not listed, by their numbers. */
  get unlisted(): ReadonlyMap<number, ForwardedConnection> {
    return this.#unlisted
  }

  get dropped(): number {
    return this.#dropped
  }

  #find(connection: number): Connection | undefined {
    return this.#listed.get(connection) ?? this.#unlisted.get(connection)
  }
}

/** What the recording says of a connection, in one line. */
export function describeConnection(connection: number, account: ForwardedConnection): string {
  const { port, sentBytes, receivedBytes, error } = account
  const told = `Connection ${connection} to port ${port}: ${sentBytes} bytes sent, ${receivedBytes} received`
  return error === '' ? told : `${told}, failed: ${error}`
}
