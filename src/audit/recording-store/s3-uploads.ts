import { type FileHandle, open } from 'node:fs/promises'

/** Pause after the first of several failures in a row, in milliseconds; it doubles up to the longest. */
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 300_000

/** Uploads one recording after another, each until it has succeeded. */
export class S3Uploads {
  readonly #upload: (id: string) => Promise<void>
  readonly #onProblem: (error: Error) => void
  /** In the order in which they are tried. */
  readonly #waiting = new Set<string>()
  #current: { readonly id: string; readonly attempt: Promise<void> } | null = null
  #timer: NodeJS.Timeout | null = null
  #failures = 0
  #closed = false

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

  /** Takes one off the queue. Resolves when it is not being uploaded either. */
  async cancel(id: string): Promise<void> {
    this.#waiting.delete(id)
    if (this.#current?.id === id) await this.#current.attempt
    this.#waiting.delete(id)
  }

  /** Resolves when the attempt under way has ended; what is left waits for the next start. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#current?.attempt
  }

  #next(): void {
    const [id] = this.#waiting
    if (id === undefined || this.#current !== null || this.#closed) return
    this.#waiting.delete(id)
    this.#current = { id, attempt: this.#attempt(id) }
  }

  async #attempt(id: string): Promise<void> {
    let pauseMs = 0
    try {
      await this.#upload(id)
      this.#failures = 0
    } catch (cause) {
      // Behind the others: it may be the only one that fails.
      this.#waiting.add(id)
      if (this.#failures === 0 && !this.#closed) {
        this.#onProblem(new Error('recordings cannot be uploaded at present; they are kept in the spool', { cause }))
      }
      pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS)
      this.#failures += 1
    }
    this.#current = null
    if (this.#closed) return
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
