/** Pauses after failures, in milliseconds: they double up to the greatest, and up to half of each is left to chance. */
const FIRST_PAUSE_MS = 1_000
const GREATEST_PAUSE_MS = 60_000
/** The longest time that a timer of Node's can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * Work that is done again and again, one at a time. After a failure it is tried again after growing pauses, and
 * `problem` says why until it succeeds.
 */
export class Repetition {
  readonly #work: () => Promise<number>
  readonly #onDone: () => void
  #problem = 'not done yet'
  #failures = 0
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /**
   * @param work resolves to the time until it shall be done again, in milliseconds; throws an Error of one phrase that
   * may stand in a log
   * @param onDone called after each doing, failed or not
   */
  constructor(work: () => Promise<number>, onDone: () => void = () => undefined) {
    this.#work = work
    this.#onDone = onDone
  }

  /** Why the last attempt failed; empty after a success. */
  get problem(): string {
    return this.#problem
  }

  /** Does the work now, or joins the doing that is under way. Never rejects. */
  run(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Lets a doing that is under way end, and begins no other. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer)
    let pauseMs
    try {
      pauseMs = await this.#work()
      this.#problem = ''
      this.#failures = 0
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
      const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, GREATEST_PAUSE_MS)
      pauseMs = longest * (1 - Math.random() / 2)
    }
    if (this.#closed) return
    this.#onDone()
    this.#timer = setTimeout(() => void this.run(), Math.min(pauseMs, LONGEST_TIMER_MS)).unref()
  }
}
