import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditSink } from './audit-sink.ts'

/** Name of the trail's file in its directory. */
export const TRAIL_FILE = 'audit.jsonl'

/** Lines waiting to be written, in characters; above it requests are refused until the disk has caught up. */
const MAX_QUEUED_CHARS = 8 * 1024 * 1024
/** Lines are written together this often at most, in milliseconds. */
const FLUSH_EVERY_MS = 20
/** Pause after a failed write before the next try, in milliseconds. */
const RETRY_AFTER_MS = 1_000

/**
 * Appends events to `DIRECTORY/audit.jsonl` (0600 in 0700), in order, a batch at a time.
 *
 * When the disk fails, lines stay queued, `writable` is false, `onFailure` is called once for each
 * streak of failures, and the write is tried again every second.
 *
 * @throws when the directory or the file cannot be opened for writing.
 */
export async function openFileSink(
  directory: string,
  onFailure: (error: unknown) => void = () => undefined,
): Promise<AuditSink> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, TRAIL_FILE)
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600)
  try {
    await endBrokenLine(file)
  } catch (error) {
    await file.close()
    throw error
  }
  return new FileSink(file, onFailure)
}

/** A process that was killed may have left half a line; the next event must not be glued to it. */
async function endBrokenLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  if (size === 0) return
  const last = Buffer.alloc(1)
  await file.read(last, 0, 1, size - 1)
  if (last[0] !== 0x0a) await file.write('\n')
}

class FileSink implements AuditSink {
  readonly #file: FileHandle
  readonly #onFailure: (error: unknown) => void
  #lines: string[] = []
  #queuedChars = 0
  #failing = false
  #writing: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(file: FileHandle, onFailure: (error: unknown) => void) {
    this.#file = file
    this.#onFailure = onFailure
  }

  get writable(): boolean {
    return !this.#failing && !this.#closed && this.#queuedChars <= MAX_QUEUED_CHARS
  }

  write(line: string): void {
    if (this.#closed) return
    this.#lines.push(line)
    this.#queuedChars += line.length
    this.#schedule(FLUSH_EVERY_MS)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#writing
    try {
      await this.#writeBatch()
      await this.#file.sync()
    } finally {
      await this.#file.close()
    }
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null || this.#writing !== null || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#writing = this.#flush().finally(() => {
        this.#writing = null
        if (this.#lines.length > 0) this.#schedule(this.#failing ? RETRY_AFTER_MS : 0)
      })
    }, delayMs)
    this.#timer.unref()
  }

  async #flush(): Promise<void> {
    try {
      await this.#writeBatch()
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.#onFailure(error)
      this.#failing = true
    }
  }

  /** Takes lines off the queue only when they are written, so that a failed write loses none. */
  async #writeBatch(): Promise<void> {
    const count = this.#lines.length
    if (count === 0) return
    const text = this.#lines.join('')
    const bytes = Buffer.from(text)
    const { size } = await this.#file.stat()
    try {
      let offset = 0
      while (offset < bytes.length) {
        const { bytesWritten } = await this.#file.write(bytes, offset)
        offset += bytesWritten
      }
    } catch (error) {
      await this.#file.truncate(size)
      throw error
    }
    this.#lines.splice(0, count)
    this.#queuedChars -= text.length
  }
}
