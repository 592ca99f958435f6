import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ChunkHashes } from './chunk-hashes.ts'
import { type RecordingPublicKey, sealManifest, SegmentEncryption } from './encryption.ts'
import { releaseReserve, takeReserve } from './disk-reserve.ts'
import { castFile, isMissing, isRecordingId, MANIFEST_FILE, syncDirectory, writeManifestFile } from './manifest-file.ts'
import { RecordingDirectory, type RecordingReader, type RecordingUsage } from './recording-directory.ts'
import { RecordingFile } from './recording-file.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'
import type { RecordingStore, RecordingWriter } from './recording-store.ts'
import { cannotBeKept, failurePhrase, isDiskFull, isSystemError } from './storage-failure.ts'
import { lockDirectory } from './store-lock.ts'
import { Turns } from './turns.ts'
import { PartPool } from './waiting-bytes.ts'

/** Syncs under way at a time, of the four threads that the process has for files. */
const MAX_SYNCS = 2
/** Pause before the first probe after a failure, in milliseconds; it doubles up to the longest. */
const FIRST_PROBE_AFTER_MS = 2_000
const LONGEST_PROBE_PAUSE_MS = 30_000
/** Marks a directory that is being deleted. */
const REMOVED_PREFIX = '.removed-'

/** What a store tells whoever opened it. */
export interface RecordingStoreEvents {
  /** Something that an operator should know went wrong; the store goes on. Once for each streak. */
  readonly onProblem: (error: Error) => void
  /** A recording cut off earlier was closed. The hash is of its manifest, as from `finish`. */
  readonly onInterrupted: (manifest: RecordingManifest, hash: string) => void
}

/** A store that also shows what an audit needs. */
export interface RecordingArchive extends RecordingStore, RecordingReader {
  /** In no order. */
  usage(): Promise<readonly RecordingUsage[]>
}

/**
 * Opens a directory as a store of recordings, 0700 if it has to be created, and closes what a former process left
 * open: such a recording becomes `interrupted`, with the hashes of what it had kept.
 *
 * @param encryptTo null to keep recordings in clear.
 * @throws Error when it cannot be written, or another store writes there.
 */
export async function openDirectoryStore(
  directory: string,
  encryptTo: RecordingPublicKey | null,
  events: RecordingStoreEvents,
): Promise<DirectoryStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(directory)
  try {
    await takeReserve(directory)
    const store = new DirectoryStore(directory, encryptTo, events, lock)
    await store.recover()
    return store
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
}

/** Recordings in a directory. See {@link openDirectoryStore}. */
export class DirectoryStore implements RecordingArchive {
  readonly #directory: string
  readonly #encryptTo: RecordingPublicKey | null
  readonly #events: RecordingStoreEvents
  readonly #lock: Disposable
  readonly #reader: RecordingDirectory
  readonly #syncs = new Turns(MAX_SYNCS)
  readonly #parts = new PartPool()
  readonly #underWay = new Map<string, UnderWay>()
  /** Failed ones, to be closed when the disk can be written again. */
  readonly #cutOff = new Map<string, CutOff>()
  #storedBytes = 0
  #failing = false
  /** Set while the disk is full: the room that is left is for the manifests of the sessions that this ends. */
  #full: Error | null = null
  #closed = false
  #probeTimer: NodeJS.Timeout | null = null
  #probing: Promise<void> | null = null

  /** Use {@link openDirectoryStore}. */
  constructor(directory: string, encryptTo: RecordingPublicKey | null, events: RecordingStoreEvents, lock: Disposable) {
    this.#directory = directory
    this.#encryptTo = encryptTo
    this.#events = events
    this.#lock = lock
    this.#reader = new RecordingDirectory(directory)
  }

  /** False from a failed write until a probe succeeds. */
  get writable(): boolean {
    return !this.#failing && !this.#closed
  }

  /** About how many bytes the recordings take. */
  get storedBytes(): number {
    return this.#storedBytes
  }

  async create(
    manifest: RecordingManifest,
    onFailure: (error: Error) => void,
    onDrain: () => void,
  ): Promise<RecordingWriter> {
    const { id } = manifest.session
    if (!isRecordingId(id)) throw new Error('a recording is named by a UUID')
    if (!this.writable) throw new Error('recordings cannot be kept at present')
    if (this.#underWay.has(id)) throw new Error(`recording ${id} is under way already`)
    const underWay: UnderWay = { file: null, finished: null }
    this.#underWay.set(id, underWay)
    const onFileFailure = (error: Error): void => {
      underWay.finished = Promise.reject(cannotBeKept(error))
      underWay.finished.catch(() => undefined)
      this.#onCutOff(id, underWay.file, error)
      onFailure(cannotBeKept(error))
    }
    let file: RecordingFile
    try {
      file = await this.#createFile(manifest, onFileFailure, onDrain)
    } catch (error) {
      this.#underWay.delete(id)
      this.#onWriteError(error)
      throw cannotBeKept(error)
    }
    underWay.file = file
    return {
      append: (lines) => file.append(lines),
      finish: (last) => (underWay.finished ??= this.#finish(file, last)),
    }
  }

  list(): Promise<readonly RecordingManifest[]> {
    return this.#reader.list()
  }

  manifest(id: string): Promise<RecordingManifest | null> {
    return this.#reader.manifest(id)
  }

  manifestBytes(id: string): Promise<Buffer | null> {
    return this.#reader.manifestBytes(id)
  }

  read(id: string): Promise<Readable | null> {
    return this.#reader.read(id)
  }

  async usage(): Promise<readonly RecordingUsage[]> {
    const usage = await this.#reader.usage((id) => this.#underWay.has(id))
    this.#storedBytes = usage.reduce((sum, { byteLength }) => sum + byteLength, 0)
    return usage
  }

  /** @throws Error when it is under way. */
  async remove(id: string): Promise<boolean> {
    if (!isRecordingId(id)) return false
    if (this.#underWay.has(id)) throw new Error(`recording ${id} is under way`)
    const removed = join(this.#directory, `${REMOVED_PREFIX}${id}`)
    const { byteLength } = await this.#reader.usageOf(id, false)
    try {
      await rename(join(this.#directory, id), removed)
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
    this.#cutOff.delete(id)
    this.#storedBytes -= byteLength
    await rm(removed, { recursive: true })
    await syncDirectory(this.#directory)
    return true
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#probeTimer !== null) clearTimeout(this.#probeTimer)
    await this.#probing
    await Promise.allSettled(
      [...this.#underWay.values()].map(async ({ file, finished }) => finished ?? file?.end(false)),
    )
    this.#lock[Symbol.dispose]()
  }

  /** Closes what a former process left open, and clears away what it left half done. */
  async recover(): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      if (name.startsWith(REMOVED_PREFIX)) await rm(join(this.#directory, name), { recursive: true })
    }
    for (const id of await this.#reader.ids()) {
      try {
        await this.#interrupt(id, 'the connector stopped during the session')
      } catch (cause) {
        this.#events.onProblem(new Error(`recording ${id}, which was cut off, cannot be closed`, { cause }))
      }
    }
    await this.usage()
  }

  async #createFile(
    manifest: RecordingManifest,
    onFailure: (error: Error) => void,
    onDrain: () => void,
  ): Promise<RecordingFile> {
    const directory = join(this.#directory, manifest.session.id)
    await mkdir(directory, { mode: 0o700 })
    try {
      const stored = await this.#stored(manifest)
      await writeManifestFile(directory, stored)
      const encryption = this.#encryptTo === null ? null : new SegmentEncryption(manifest.session.id, this.#encryptTo)
      const file = await RecordingFile.create(join(directory, castFile(stored)), encryption, this.#syncs, this.#parts, {
        refusal: () => this.#full,
        onWritten: (byteLength) => {
          this.#storedBytes += byteLength
        },
        onFailure,
        onDrain,
      })
      try {
        await syncDirectory(directory)
        await syncDirectory(this.#directory)
      } catch (error) {
        await file.end(false).catch(() => undefined)
        throw error
      }
      return file
    } catch (error) {
      await rm(directory, { recursive: true, force: true }).catch(() => undefined)
      throw error
    }
  }

  async #finish(file: RecordingFile, manifest: RecordingManifest): Promise<string> {
    const { id } = manifest.session
    try {
      const chunks = await file.end(true)
      const hash = await writeManifestFile(join(this.#directory, id), await this.#stored({ ...manifest, chunks }))
      this.#underWay.delete(id)
      return hash
    } catch (error) {
      this.#onCutOff(id, file, error)
      throw cannotBeKept(error)
    }
  }

  /** A manifest in the form that is stored. */
  async #stored(manifest: RecordingManifest): Promise<RecordingManifest> {
    if (this.#encryptTo !== null) return sealManifest(manifest, this.#encryptTo)
    return { ...manifest, encryption: 'none' }
  }

  /** Closes a recording that nobody writes any more, unless it is closed. */
  async #interrupt(id: string, reason: string): Promise<void> {
    const directory = join(this.#directory, id)
    const manifest = await this.#reader.manifest(id)
    if (manifest === null) {
      // It was never said to be kept, so that nothing else is in there.
      await rm(join(directory, `${MANIFEST_FILE}.tmp`), { force: true })
      await rmdir(directory).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
      return
    }
    if (manifest.state !== 'recording') return
    const hashes = new ChunkHashes()
    for await (const bytes of (await this.#reader.read(id)) ?? []) hashes.update(bytes as Buffer)
    const closed: RecordingManifest = {
      ...manifest,
      state: 'interrupted',
      outcome: null,
      incomplete: reason,
      chunks: hashes.chunks(),
    }
    this.#events.onInterrupted(closed, await writeManifestFile(directory, closed))
  }

  #onCutOff(id: string, file: RecordingFile | null, error: unknown): void {
    this.#underWay.delete(id)
    this.#cutOff.set(id, { file, reason: `the recording was cut off: ${failurePhrase(error)}` })
    this.#onWriteError(error)
    this.#scheduleProbe(FIRST_PROBE_AFTER_MS)
  }

  /** What is not the operating system's error is of that one recording, and says nothing of the next. */
  #onWriteError(cause: unknown): void {
    if (this.#failing || !isSystemError(cause)) return
    this.#failing = true
    if (isDiskFull(cause)) this.#full = cause
    this.#events.onProblem(new Error(`recordings cannot be kept in ${this.#directory}`, { cause }))
    void releaseReserve(this.#directory)
    this.#scheduleProbe(FIRST_PROBE_AFTER_MS)
  }

  #scheduleProbe(pauseMs: number): void {
    if (this.#probeTimer !== null || this.#closed) return
    this.#probeTimer = setTimeout(() => {
      this.#probing = this.#probe().then((done) => {
        this.#probeTimer = null
        if (!done) this.#scheduleProbe(Math.min(2 * pauseMs, LONGEST_PROBE_PAUSE_MS))
      })
    }, pauseMs)
    this.#probeTimer.unref()
  }

  /** Resolves to whether nothing is left to be done: what was cut off is closed, and the disk takes more. */
  async #probe(): Promise<boolean> {
    for (const [id, { file, reason }] of [...this.#cutOff]) {
      try {
        await file?.end(false).catch(() => undefined)
        await this.#interrupt(id, reason)
        this.#cutOff.delete(id)
      } catch {
        // The next probe tries again, and after a restart `recover` does, and says so.
      }
    }
    try {
      if (this.#failing) await takeReserve(this.#directory)
      this.#failing = false
      this.#full = null
    } catch {
      return false
    }
    return this.#cutOff.size === 0
  }
}

interface CutOff {
  readonly file: RecordingFile | null
  readonly reason: string
}

interface UnderWay {
  /** Null while it is being created. */
  file: RecordingFile | null
  finished: Promise<string> | null
}
