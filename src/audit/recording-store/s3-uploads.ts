import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Pause after the first of several failures in a row, in milliseconds; it doubles up to the longest. */
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 300_000
/** Uploads at a time when no more are to come: a stop has little time, and gives the memory back soon. */
const MAX_AT_THE_END = 4

/** Uploads one recording after another, each until it has succeeded. */
export class S3Uploads {
  readonly #upload: (id: string) => Promise<void>
  readonly #onProblem: (error: Error) => void
  /** In the order in which they are tried. */
  readonly #waiting = new Set<string>()
  /** Attempts, which resolve to whether they have succeeded; one until the end comes. */
  readonly #underWay = new Map<string, Promise<boolean>>()
  #timer: NodeJS.Timeout | null = null
  #failures = 0
  #ending = false

  /** @param onProblem called with the first failure of a streak. */
  constructor(upload: (id: string) => Promise<void>, onProblem: (error: Error) => void) {
    this.#upload = upload
    this.#onProblem = onProblem
  }

  /** Uploads it after those that wait. */
  add(id: string): void {
    this.#waiting.add(id)
    if (this.#timer === null) this.#next()
  }

  /** How many are not uploaded yet. */
  get left(): number {
    return this.#waiting.size + this.#underWay.size
  }

  /** Takes one off the queue. Resolves when it is not being uploaded either. */
  async cancel(id: string): Promise<void> {
    this.#waiting.delete(id)
    await this.#underWay.get(id)
    this.#waiting.delete(id)
  }

  /**
   * Uploads what waits, several at a time, what fails again after a second, until nothing is left or the signal aborts. Then
   * it resolves when the attempts under way have ended, which is the caller's to see to. Nothing is uploaded after that.
   */
  async end(signal: AbortSignal): Promise<void> {
    this.#ending = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    const before = [...this.#underWay.values()]
    await Promise.all(Array.from({ length: MAX_AT_THE_END }, (_, i) => this.#uploadRest(before[i], signal)))
  }

  async #uploadRest(before: Promise<boolean> | undefined, signal: AbortSignal): Promise<void> {
    let attempt = before
    for (;;) {
      if ((await attempt) === false) await sleep(FIRST_PAUSE_MS, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      attempt = this.#start()
      if (attempt === undefined) return
    }
  }

  #next(): void {
    if (this.#underWay.size === 0 && !this.#ending) void this.#start()
  }

  /** Undefined when nothing waits. */
  #start(): Promise<boolean> | undefined {
    const [id] = this.#waiting
    if (id === undefined) return undefined
    this.#waiting.delete(id)
    const attempt = this.#attempt(id)
    this.#underWay.set(id, attempt)
    return attempt
  }

  /** Resolves to whether it was uploaded. */
  async #attempt(id: string): Promise<boolean> {
    let pauseMs = 0
    try {
      await this.#upload(id)
      this.#failures = 0
    } catch (cause) {
      // Behind the others: it may be the only one that fails.
      this.#waiting.add(id)
      if (this.#failures === 0 && !this.#ending) {
        this.#onProblem(new Error('recordings cannot be uploaded at present; they are kept in the spool', { cause }))
      }
      pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS)
      this.#failures += 1
    }
    this.#underWay.delete(id)
    if (!this.#ending) this.#goOnAfter(pauseMs)
    return pauseMs === 0
  }

  #goOnAfter(pauseMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#next()
    }, pauseMs)
    this.#timer.unref()
  }
}

/** Reads parts of a file, whole or with an error. */
export async function withFileParts<Result>(
  path: string,
  use: (part: (start: number, end: number) => Promise<Buffer>) => Promise<Result>,
): Promise<Result> {
  const file = await open(path)
  try {
    return await use((start, end) => readPart(file, start, end))
  } finally {
    await file.close()
  }
}

async function readPart(file: FileHandle, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(end - start)
  for (let offset = 0; offset < bytes.length;) {
    const { bytesRead } = await file.read(bytes, offset, bytes.length - offset, start + offset)
    if (bytesRead === 0) throw new Error('the file is shorter than its manifest says')
    offset += bytesRead
  }
  return bytes
}
