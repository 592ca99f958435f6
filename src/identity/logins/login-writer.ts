import type { Login, LoginRecord } from './login.ts'
import type { LoginJournal } from './logins.ts'

/** Changes are written together this often at most, in milliseconds; a revocation is written at once. */
const WRITE_EVERY_MS = 5_000
/** Logins of one transaction. Requests are served between two of them. */
export const MAX_BATCH = 50

/** What a writer writes to; {@link LoginFile} in earnest. */
export interface LoginSink {
  write(saved: readonly LoginRecord[], removed: readonly string[]): void
  close(): void
}

export interface LoginWriterOptions {
  /** Told once for each streak of failures. What could not be written is kept and tried again. */
  readonly onProblem: (error: unknown) => void
  /** Default {@link WRITE_EVERY_MS}. */
  readonly writeEveryMs?: number
}

/**
 * Writes logins down behind the requests: a batch now and then, and the rest when it closes. There is never more to write
 * than there are logins, each as it is by then.
 */
export class LoginWriter implements LoginJournal {
  readonly #sink: LoginSink
  readonly #onProblem: (error: unknown) => void
  readonly #writeEveryMs: number
  readonly #changed = new Map<string, Login>()
  readonly #removed = new Set<string>()
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()
  #failing = false

  constructor(sink: LoginSink, { onProblem, writeEveryMs = WRITE_EVERY_MS }: LoginWriterOptions) {
    this.#sink = sink
    this.#onProblem = onProblem
    this.#writeEveryMs = writeEveryMs
  }

  /** False while the last write failed. */
  get writable(): boolean {
    return !this.#failing
  }

  changed(login: Login): void {
    this.#changed.set(login.id, login)
    this.#schedule()
  }

  removed(id: string): void {
    this.#changed.delete(id)
    this.#removed.add(id)
    this.#schedule()
  }

  flushed(): Promise<void> {
    const written = this.#writing.then(() => this.#writeAll())
    this.#writing = written.catch(() => undefined)
    return written
  }

  /** Writes what is left and closes the sink. @throws when it cannot be written. */
  async close(): Promise<void> {
    try {
      await this.flushed()
    } finally {
      if (this.#timer !== null) clearTimeout(this.#timer)
      this.#timer = null
      this.#sink.close()
    }
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.flushed().catch(() => undefined)
    }, this.#writeEveryMs).unref()
  }

  async #writeAll(): Promise<void> {
    // What comes meanwhile waits for the next time, so that this has an end.
    let batches = Math.ceil((this.#changed.size + this.#removed.size) / MAX_BATCH)
    for (; batches > 0; batches -= 1) {
      // Those who revoke at the same time share a write.
      await new Promise(setImmediate)
      this.#writeBatch()
    }
  }

  /** Takes off the queue only what is written. */
  #writeBatch(): void {
    const removed = [...this.#removed.values().take(MAX_BATCH)]
    const changed = [...this.#changed.values().take(MAX_BATCH - removed.length)]
    if (removed.length + changed.length === 0) return
    try {
      this.#sink.write(
        changed.map((login) => login.record),
        removed,
      )
    } catch (error) {
      if (!this.#failing) this.#onProblem(error)
      this.#failing = true
      this.#schedule()
      throw error
    }
    this.#failing = false
    for (const id of removed) this.#removed.delete(id)
    for (const { id } of changed) this.#changed.delete(id)
  }
}
