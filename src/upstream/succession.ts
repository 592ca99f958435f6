import type { UpstreamClient } from './upstream-client.ts'

/**
 * The client of an upstream whose way changes, and those before it: new requests go the new way, those under way, watches
 * and sessions included, end where they are.
 */
export class Succession {
  #current: UpstreamClient | null = null
  readonly #retired = new Set<UpstreamClient>()
  #closed = false

  /** Null until there is one. */
  get current(): UpstreamClient | null {
    return this.#current
  }

  /** Of all of them. */
  get openConnections(): number {
    let open = this.#current?.openConnections ?? 0
    for (const client of this.#retired) open += client.openConnections
    return open
  }

  /** Lets a client follow, which is closed when it is too late for it. */
  follow(client: UpstreamClient): void {
    if (this.#closed) {
      client.close()
      return
    }
    for (const retired of this.#retired) {
      if (retired.openConnections > 0) continue
      retired.close()
      this.#retired.delete(retired)
    }
    if (this.#current !== null) {
      this.#current.retire()
      this.#retired.add(this.#current)
    }
    this.#current = client
  }

  close(): void {
    this.#closed = true
    this.#current?.close()
    for (const client of this.#retired) client.close()
  }
}
