import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type DirectoryStore,
  openDirectoryStore,
  type RecordingArchive,
  type RecordingStoreEvents,
} from './directory-store.ts'
import type { RecordingPublicKey } from './encryption.ts'
import {
  castFile,
  isMissing,
  isRecordingId,
  MANIFEST_FILE,
  MAX_MANIFEST_BYTES,
  parseManifest,
} from './manifest-file.ts'
import { inBatches, newestFirst, type RecordingUsage } from './recording-directory.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'
import type { RecordingWriter } from './recording-store.ts'
import { S3Objects, type S3Location } from './s3-client.ts'
import { S3Uploads, withFileParts } from './s3-uploads.ts'

/** Manifests fetched at a time for a list. */
const MAX_FETCHES = 8
/** Manifests kept in memory, which never change once they are in the bucket; longer ones are fetched each time. */
const MAX_KEPT_MANIFESTS = 1_000
const MAX_KEPT_MANIFEST_BYTES = 16 * 1024
/** How long a store that is closed goes on to upload what its sessions have left, in milliseconds. */
const UPLOADS_AT_STOP_MS = 20_000
/** How long an upload that is broken off then may take to end: the bucket is told of its parts. */
const BREAK_OFF_TIMEOUT_MS = 3_000

/** Where recordings wait for their upload. */
export interface Spool {
  readonly directory: string
  /** From this many bytes on no recording is opened; those under way go on. */
  readonly maxBytes: number
  /** How long a store that is closed goes on to upload, in milliseconds. Default {@link UPLOADS_AT_STOP_MS}. */
  readonly uploadsAtStopMs?: number
}

/**
 * Opens a bucket as a store of recordings. They are written to the spool, a directory store, while their sessions run,
 * uploaded when those have ended, and deleted there when the bucket has confirmed them. What is in the spool is the
 * guarantee: a bucket that is away stops nothing until the spool is full. Closing it uploads what has ended, for
 * a while; what the bucket did not take by then stays in the spool, and is told.
 *
 * @throws Error when the spool cannot be opened. The bucket is not asked.
 */
export async function openS3Store(
  location: S3Location,
  spool: Spool,
  encryptTo: RecordingPublicKey | null,
  events: RecordingStoreEvents,
): Promise<S3Store> {
  const objects = await S3Objects.open(location)
  try {
    const closedLater: string[] = []
    let store: S3Store | null = null
    const directory = await openDirectoryStore(spool.directory, encryptTo, {
      onProblem: events.onProblem,
      onInterrupted: (manifest, hash) => {
        events.onInterrupted(manifest, hash)
        if (store === null) closedLater.push(manifest.session.id)
        else store.upload(manifest.session.id)
      },
    })
    store = new S3Store(objects, directory, spool, events)
    for (const { session, state } of await directory.list()) if (state !== 'recording') store.upload(session.id)
    for (const id of closedLater) store.upload(id)
    return store
  } catch (error) {
    objects.close()
    throw error
  }
}

/** Recordings in a bucket. See {@link openS3Store}. */
export class S3Store implements RecordingArchive {
  readonly #objects: S3Objects
  readonly #spool: DirectoryStore
  readonly #spoolOptions: Spool
  readonly #events: RecordingStoreEvents
  readonly #uploads: S3Uploads
  #closed: Promise<void> | null = null
  readonly #kept = new Map<string, RecordingManifest>()

  /** Use {@link openS3Store}. */
  constructor(objects: S3Objects, spool: DirectoryStore, spoolOptions: Spool, events: RecordingStoreEvents) {
    this.#objects = objects
    this.#spool = spool
    this.#spoolOptions = spoolOptions
    this.#events = events
    this.#uploads = new S3Uploads((id) => this.#upload(id), events.onProblem)
  }

  /** False while the spool cannot be written, or is full, and once the store is closed. */
  get writable(): boolean {
    return this.#closed === null && this.#spool.writable && !this.#full
  }

  get #full(): boolean {
    return this.#spool.storedBytes >= this.#spoolOptions.maxBytes
  }

  async create(
    manifest: RecordingManifest,
    onFailure: (error: Error) => void,
    onDrain: () => void,
  ): Promise<RecordingWriter> {
    if (this.#closed !== null) throw new Error('the recording cannot be kept: the store is closed')
    if (this.#spool.writable && this.#full) {
      throw new Error('the recording cannot be kept: the spool is full of recordings that wait for their upload')
    }
    const writer = await this.#spool.create(manifest, onFailure, onDrain)
    return {
      append: (lines) => writer.append(lines),
      finish: async (last) => {
        const hash = await writer.finish(last)
        this.upload(manifest.session.id)
        return hash
      },
    }
  }

  /** Uploads a recording of the spool that has ended, and deletes it there. */
  upload(id: string): void {
    this.#uploads.add(id)
  }

  /** @throws when the bucket cannot be listed. */
  async list(): Promise<readonly RecordingManifest[]> {
    const spooled = await this.#spool.list()
    const known = new Set(spooled.map(({ session }) => session.id))
    const ids: string[] = []
    for await (const { key } of this.#objects.list()) {
      const id = key.slice(0, -MANIFEST_FILE.length - 1)
      if (key === `${id}/${MANIFEST_FILE}` && isRecordingId(id) && !known.has(id)) ids.push(id)
    }
    const stored = await inBatches(ids, MAX_FETCHES, (id) => this.#storedManifest(id))
    return newestFirst([...spooled, ...stored.filter((manifest) => manifest !== null)])
  }

  async manifest(id: string): Promise<RecordingManifest | null> {
    if (!isRecordingId(id)) return null
    return (await this.#spool.manifest(id)) ?? (await this.#storedManifest(id))
  }

  async manifestBytes(id: string): Promise<Buffer | null> {
    if (!isRecordingId(id)) return null
    return (await this.#spool.manifestBytes(id)) ?? (await this.#storedManifestBytes(id))
  }

  async read(id: string): Promise<Readable | null> {
    const spooled = await this.#spool.read(id)
    if (spooled !== null) return spooled
    const manifest = await this.manifest(id)
    return manifest === null ? null : this.#objects.get(`${id}/${castFile(manifest)}`)
  }

  /** @throws Error when it is under way. */
  async remove(id: string): Promise<boolean> {
    if (!isRecordingId(id)) return false
    await this.#uploads.cancel(id)
    const spooled = await this.#spool.remove(id)
    const stored = (await this.#storedManifestBytes(id)) !== null
    this.#kept.delete(id)
    // The manifest first: what has none is in no list, and is found by `usage` if this ends half way.
    for (const name of [MANIFEST_FILE, castFile({ encryption: 'none' }), castFile({ encryption: 'jwe' })]) {
      await this.#objects.delete(`${id}/${name}`)
    }
    return spooled || stored
  }

  async usage(): Promise<readonly RecordingUsage[]> {
    const recordings = new Map<string, RecordingUsage>()
    for await (const { key, byteLength, modifiedAtMs } of this.#objects.list()) {
      const id = key.slice(0, key.indexOf('/'))
      if (!isRecordingId(id)) continue
      const before = recordings.get(id)
      recordings.set(id, {
        id,
        byteLength: byteLength + (before?.byteLength ?? 0),
        writtenAtMs: Math.max(modifiedAtMs, before?.writtenAtMs ?? 0),
        underWay: false,
      })
    }
    for (const spooled of await this.#spool.usage()) {
      const byteLength = spooled.byteLength + (recordings.get(spooled.id)?.byteLength ?? 0)
      recordings.set(spooled.id, { ...spooled, byteLength })
    }
    return [...recordings.values()]
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { directory, uploadsAtStopMs = UPLOADS_AT_STOP_MS } = this.#spoolOptions
    const [late, ended] = [new AbortController(), new AbortController()]
    const bound = setTimeout(() => {
      late.abort()
      this.#objects.breakOff()
    }, uploadsAtStopMs)
    // A search for credentials that hangs heeds no signal.
    const given = sleep(uploadsAtStopMs + BREAK_OFF_TIMEOUT_MS, undefined, { signal: ended.signal })
    await Promise.race([this.#uploads.end(late.signal), given])
    clearTimeout(bound)
    given.catch(() => undefined)
    ended.abort()
    this.#objects.close()
    const { left } = this.#uploads
    if (left > 0) {
      const what = left === 1 ? '1 recording is' : `${left} recordings are`
      const why = `the bucket did not take them within ${uploadsAtStopMs / 1_000} s of the stop`
      this.#events.onProblem(new Error(`${what} left in the spool ${directory}: ${why}`))
    }
    await this.#spool.close()
  }

  async #upload(id: string): Promise<void> {
    const [manifest, bytes] = await Promise.all([this.#spool.manifest(id), this.#spool.manifestBytes(id)])
    if (manifest === null || bytes === null || manifest.state === 'recording') return
    const name = castFile(manifest)
    const byteLength = manifest.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
    try {
      await withFileParts(join(this.#spoolOptions.directory, id, name), (part) =>
        this.#objects.put(`${id}/${name}`, byteLength, part),
      )
    } catch (error) {
      // It was cut off before the asciicast was there.
      if (!(isMissing(error) && byteLength === 0)) throw error
    }
    await this.#objects.put(`${id}/${MANIFEST_FILE}`, bytes.length, () => Promise.resolve(bytes))
    await this.#spool.remove(id)
  }

  async #storedManifest(id: string): Promise<RecordingManifest | null> {
    const kept = this.#kept.get(id)
    if (kept !== undefined) return kept
    const bytes = await this.#storedManifestBytes(id)
    if (bytes === null) return null
    const manifest = parseManifest(bytes, id)
    if (bytes.length <= MAX_KEPT_MANIFEST_BYTES) {
      if (this.#kept.size >= MAX_KEPT_MANIFESTS) this.#kept.delete(this.#kept.keys().next().value ?? '')
      this.#kept.set(id, manifest)
    }
    return manifest
  }

  async #storedManifestBytes(id: string): Promise<Buffer | null> {
    const body = await this.#objects.get(`${id}/${MANIFEST_FILE}`)
    if (body === null) return null
    const blocks: Buffer[] = []
    let byteLength = 0
    for await (const block of body as AsyncIterable<Buffer>) {
      byteLength += block.length
      if (byteLength > MAX_MANIFEST_BYTES) throw new Error(`the manifest of recording ${id} is too long`)
      blocks.push(block)
    }
    return Buffer.concat(blocks)
  }
}
