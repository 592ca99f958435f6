import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { ChunkHashes } from './chunk-hashes.ts'
import type { SegmentEncryption } from './encryption.ts'
import type { RecordedChunk } from '../recording/recording-manifest.ts'
import type { Turns } from './turns.ts'
import { type PartPool, WaitingBytes } from './waiting-bytes.ts'

/** Bytes waiting from which on the recorder is asked to pause. */
const HIGH_WATER_BYTES = 2 * 1024 * 1024
/** Bytes waiting that no recorder which pauses gets to: the recording fails rather than fill the memory. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** Bytes that are written at once rather than later, and together. With fewer waiting, the recorder may go on. */
const WRITE_BYTES = 1024 * 1024
/** What was appended is written this much later at most, in milliseconds. */
const WRITE_AFTER_MS = 200
/** What was written is asked of the disk this much later at most, in milliseconds; the disk takes its time on top. */
const SYNC_EVERY_MS = 400

/** What a {@link RecordingFile} asks and tells. */
export interface RecordingFileEvents {
  /** Why nothing may be appended now; null when it may. */
  readonly refusal: () => Error | null
  /** Bytes were written. */
  readonly onWritten: (byteLength: number) => void
  /** Once, and never after `finish` was called. */
  readonly onFailure: (error: Error) => void
  /** `append` returned false, and may be used again. */
  readonly onDrain: () => void
}

/**
 * The asciicast of one recording, append-only. One write is under way at a time, so are no more syncs than `syncs` has
 * turns for: a slow disk must not take all the threads that the process has for files.
 */
export class RecordingFile {
  readonly #file: FileHandle
  readonly #encryption: SegmentEncryption | null
  readonly #syncs: Turns
  readonly #events: RecordingFileEvents
  readonly #hashes = new ChunkHashes()
  readonly #waiting: WaitingBytes
  #backlogged = false
  #writing: Promise<void> | null = null
  #syncing: Promise<void> | null = null
  #unsynced = false
  #lastSyncMs = 0
  #writeTimer: NodeJS.Timeout | null = null
  #syncTimer: NodeJS.Timeout | null = null
  #ending = false
  #failure: Error | null = null
  #closing: Promise<void> | null = null
  #ended: Promise<readonly RecordedChunk[]> | null = null

  private constructor(
    file: FileHandle,
    encryption: SegmentEncryption | null,
    syncs: Turns,
    parts: PartPool,
    events: RecordingFileEvents,
  ) {
    this.#file = file
    this.#encryption = encryption
    this.#syncs = syncs
    this.#waiting = new WaitingBytes(parts)
    this.#events = events
  }

  /**
   * Creates the file, 0600.
   *
   * @throws when it is there already, or cannot be written.
   */
  static async create(
    path: string,
    encryption: SegmentEncryption | null,
    syncs: Turns,
    parts: PartPool,
    events: RecordingFileEvents,
  ): Promise<RecordingFile> {
    const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL } = constants
    const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0o600)
    const recording = new RecordingFile(file, encryption, syncs, parts, events)
    try {
      if (encryption !== null) await recording.#write([await encryption.keyLine()])
    } catch (error) {
      await file.close()
      throw error
    }
    return recording
  }

  /** See `RecordingWriter.append`. */
  append(lines: string | Uint8Array): boolean {
    if (this.#failure !== null || this.#ending || lines.length === 0) return true
    this.#waiting.add(lines)
    if (this.#waiting.byteLength > MAX_WAITING_BYTES) {
      this.#fail(new Error('more of the recording is waiting for the disk than may'))
      return true
    }
    this.#scheduleWrite()
    this.#backlogged ||= this.#waiting.byteLength >= HIGH_WATER_BYTES
    return !this.#backlogged
  }

  /**
   * Keeps what was appended and closes the file. Resolves to the chunks. With `complete` the recording is marked as
   * having come to its end.
   *
   * @throws what kept it from being kept, now or before; the file is closed all the same. Again on every further call.
   */
  end(complete: boolean): Promise<readonly RecordedChunk[]> {
    return (this.#ended ??= this.#end(complete))
  }

  async #end(complete: boolean): Promise<readonly RecordedChunk[]> {
    this.#ending = true
    this.#stopTimers()
    await this.#writing
    await this.#syncing
    // A failure closes the file itself.
    if (this.#failure !== null) {
      await this.#closing
      throw this.#failure
    }
    try {
      await this.#writeWaiting()
      if (complete && this.#encryption !== null) {
        await this.#write(this.#encryption.segment([], true))
      }
      await this.#sync()
    } catch (error) {
      this.#failure = asError(error)
      throw this.#failure
    } finally {
      await this.#file.close()
    }
    return this.#hashes.chunks()
  }

  #scheduleWrite(): void {
    if (this.#writing !== null || this.#waiting.byteLength === 0) return
    if (this.#waiting.byteLength >= WRITE_BYTES) this.#startWriting()
    else this.#writeTimer ??= setTimeout(this.#startWriting, WRITE_AFTER_MS)
  }

  readonly #startWriting = (): void => {
    if (this.#writeTimer !== null) clearTimeout(this.#writeTimer)
    this.#writeTimer = null
    if (this.#stopped() || this.#ending) return
    this.#writing = this.#writeWaiting()
      .catch((error: unknown) => {
        this.#fail(asError(error))
      })
      .finally(() => {
        this.#writing = null
        if (this.#stopped() || this.#ending) return
        this.#scheduleSync()
        this.#scheduleWrite()
      })
  }

  /** Writes what waits, and goes on while much does. */
  async #writeWaiting(): Promise<void> {
    for (let least = 1; this.#waiting.byteLength >= least; least = WRITE_BYTES) {
      const refusal = this.#events.refusal()
      if (refusal !== null) throw refusal
      await this.#waiting.drain((parts) => this.#write(this.#encryption?.segment(parts, false) ?? parts))
      if (this.#stopped()) return
      if (this.#waiting.byteLength < WRITE_BYTES) this.#drain()
    }
  }

  async #write(pieces: Buffer[]): Promise<void> {
    for (let rest = pieces; rest.length > 0;) {
      const { bytesWritten } = await this.#file.writev(rest)
      rest = behind(rest, bytesWritten)
      this.#events.onWritten(bytesWritten)
    }
    for (const piece of pieces) this.#hashes.update(piece)
    this.#unsynced = true
  }

  #scheduleSync(): void {
    if (!this.#unsynced || this.#failure !== null || this.#ending) return
    if (this.#syncing !== null || this.#syncTimer !== null) return
    const delay = Math.max(0, this.#lastSyncMs + SYNC_EVERY_MS - performance.now())
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = null
      this.#syncing = this.#sync()
        .catch((error: unknown) => {
          this.#fail(asError(error))
        })
        .finally(() => {
          this.#syncing = null
          this.#scheduleSync()
        })
    }, delay)
  }

  async #sync(): Promise<void> {
    this.#lastSyncMs = performance.now()
    this.#unsynced = false
    await this.#syncs.run(async () => {
      await this.#file.datasync()
      const { nlink } = await this.#file.stat()
      if (nlink === 0) throw new Error('the file of the recording was deleted')
    })
  }

  #drain(): void {
    if (!this.#backlogged) return
    this.#backlogged = false
    this.#events.onDrain()
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#stopTimers()
    this.#waiting.clear()
    this.#closing = this.#closeFailed()
    if (!this.#ending) this.#events.onFailure(error)
    // Whoever goes on without a recording must not wait for one.
    this.#drain()
  }

  async #closeFailed(): Promise<void> {
    await Promise.allSettled([this.#writing, this.#syncing])
    await this.#file.close().catch(() => undefined)
  }

  /** Whether it failed meanwhile: then nothing waits any more. */
  #stopped(): boolean {
    return this.#failure !== null
  }

  #stopTimers(): void {
    if (this.#writeTimer !== null) clearTimeout(this.#writeTimer)
    if (this.#syncTimer !== null) clearTimeout(this.#syncTimer)
    this.#writeTimer = null
    this.#syncTimer = null
  }
}

/** What is left of pieces when so many bytes of them are gone. */
function behind(pieces: Buffer[], byteLength: number): Buffer[] {
  let gone = byteLength
  return pieces.flatMap((piece) => {
    const rest = piece.subarray(gone)
    gone -= piece.length - rest.length
    return rest.length > 0 ? [rest] : []
  })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
