import type { Cutoff } from './cutoff.ts'
import type { Login, LoginRecord } from './login.ts'
import type { LoginJournal } from './logins.ts'

/** Changes are written together this often at most, in milliseconds; a revocation is written at once. */
const WRITE_EVERY_MS = 5_000
/** Changes of one transaction. Requests are served between two of them. */
export const MAX_BATCH = 50

/** Changes that are written together. */
export interface LoginChanges {
  readonly cutoffs: readonly Cutoff[]
  readonly logins: readonly LoginRecord[]
  readonly removedCutoffs: readonly Cutoff[]
  /** Ids. */
  readonly removedLogins: readonly string[]
}

/** What a writer writes to; {@link LoginFile} in earnest. */
export interface LoginSink {
  write(changes: LoginChanges): void
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
 * than there are logins and cutoffs, each as it is by then. What a revocation rests on is written before anything goes.
 */
export class LoginWriter implements LoginJournal {
  readonly #sink: LoginSink
  readonly #onProblem: (error: unknown) => void
  readonly #writeEveryMs: number
  readonly #changed = new Map<string, Login>()
  readonly #removed = new Set<string>()
  /** By {@link nameOf}; removed from the other when they come into one. */
  readonly #cutoffs = new Map<string, Cutoff>()
  readonly #removedCutoffs = new Map<string, Cutoff>()
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

  cutOff(cutoff: Cutoff): void {
    this.#cutoffs.set(nameOf(cutoff), cutoff)
    this.#removedCutoffs.delete(nameOf(cutoff))
    this.#schedule()
  }

  cutoffRemoved(cutoff: Cutoff): void {
    this.#cutoffs.delete(nameOf(cutoff))
    this.#removedCutoffs.set(nameOf(cutoff), cutoff)
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
    for (let batches = Math.ceil(this.#waiting / MAX_BATCH); batches > 0; batches -= 1) {
      // Those who revoke at the same time share a write.
      await new Promise(setImmediate)
      this.#writeBatch()
    }
  }

  get #waiting(): number {
    return this.#changed.size + this.#removed.size + this.#cutoffs.size + this.#removedCutoffs.size
  }

  /** Takes off the queue only what is written. */
  #writeBatch(): void {
    let room = MAX_BATCH
    const some = <T>(waiting: Iterable<T>): readonly T[] => {
      const taken = Iterator.from(waiting).take(room).toArray()
      room -= taken.length
      return taken
    }
    const cutoffs = some(this.#cutoffs.values())
    const changed = some(this.#changed.values())
    const removedCutoffs = some(this.#removedCutoffs.values())
    const removedLogins = some(this.#removed)
    if (room === MAX_BATCH) return
    try {
      this.#sink.write({ cutoffs, logins: changed.map((login) => login.record), removedCutoffs, removedLogins })
    } catch (error) {
      if (!this.#failing) this.#onProblem(error)
      this.#failing = true
      this.#schedule()
      throw error
    }
    this.#failing = false
    for (const cutoff of cutoffs) this.#cutoffs.delete(nameOf(cutoff))
    for (const { id } of changed) this.#changed.delete(id)
    for (const cutoff of removedCutoffs) this.#removedCutoffs.delete(nameOf(cutoff))
    for (const id of removedLogins) this.#removed.delete(id)
  }
}

function nameOf({ issuer, sub, signIn }: Cutoff): string {
  return JSON.stringify([issuer, sub, signIn])
}
