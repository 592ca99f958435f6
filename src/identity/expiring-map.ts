/** A bounded map whose entries end at a time of their own. Times are milliseconds since the epoch. */
export class ExpiringMap<Value> {
  readonly #maxEntries: number
  readonly #entries = new Map<string, { readonly value: Value; readonly expiresAtMs: number }>()

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries
  }

  /** Ended entries that were not met yet included. */
  get size(): number {
    return this.#entries.size
  }

  /** The value, unless it ended. */
  get(key: string, nowMs: number): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.expiresAtMs > nowMs) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  /** Makes room first: entries that ended go, oldest first, and when the map is full the oldest that did not. */
  set(
    key: string,
    value: Value,
    { expiresAtMs, nowMs }: { readonly expiresAtMs: number; readonly nowMs: number },
  ): void {
    this.#entries.delete(key)
    for (const [oldest, entry] of this.#entries) {
      if (entry.expiresAtMs > nowMs && this.#entries.size < this.#maxEntries) break
      this.#entries.delete(oldest)
    }
    this.#entries.set(key, { value, expiresAtMs })
  }
}
