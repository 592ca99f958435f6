import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { castFile, isMissing, isRecordingId, MANIFEST_FILE, parseManifest, readManifestFile } from './manifest-file.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'

/** Bytes read at a time when the end of the last whole line is looked for. */
const BLOCK_BYTES = 64 * 1024
/** Bytes that a reader of an asciicast holds. */
const READ_BYTES = 256 * 1024
/** Manifests read at a time for a list. */
const MAX_READS = 16

/** How much room a recording takes. */
export interface RecordingUsage {
  readonly id: string
  readonly byteLength: number
  /** When the manifest was last written: at the end, or at the start while under way. Milliseconds since the epoch. */
  readonly writtenAtMs: number
  readonly underWay: boolean
}

/** What recordings are read from. */
export interface RecordingReader {
  /** Newest first. Recordings still under way, and those cut off by a crash, are among them. */
  list(): Promise<readonly RecordingManifest[]>
  /** Null when there is none of that id. @throws Error when it is damaged. */
  manifest(id: string): Promise<RecordingManifest | null>
  /** The manifest as it is stored: what the audit trail has the hash of. Null when there is none of that id. */
  manifestBytes(id: string): Promise<Buffer | null>
  /** The asciicast as it is stored, up to its last whole line, if it has lines. Null when there is none of that id. */
  read(id: string): Promise<Readable | null>
}

/**
 * Recordings in a directory, to be read: `ID/manifest.json` and `ID/recording.cast`. A connector may be writing there
 * meanwhile.
 */
export class RecordingDirectory implements RecordingReader {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** In no order. */
  async ids(): Promise<string[]> {
    const entries = await readdir(this.#directory, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory() && isRecordingId(entry.name)).map((entry) => entry.name)
  }

  /** Leaves out what is damaged: `ids` names it, and `manifest` tells why. */
  async list(): Promise<readonly RecordingManifest[]> {
    const manifests = await inBatches(await this.ids(), MAX_READS, (id) => this.manifest(id).catch(() => null))
    return newestFirst(manifests.filter((manifest) => manifest !== null))
  }

  async manifest(id: string): Promise<RecordingManifest | null> {
    const bytes = await this.manifestBytes(id)
    return bytes === null ? null : parseManifest(bytes, id)
  }

  async manifestBytes(id: string): Promise<Buffer | null> {
    return isRecordingId(id) ? readManifestFile(join(this.#directory, id)) : null
  }

  async read(id: string): Promise<Readable | null> {
    const manifest = await this.manifest(id)
    if (manifest === null) return null
    let file: FileHandle
    try {
      file = await open(join(this.#directory, id, castFile(manifest)))
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
    try {
      const byteLength = manifest.encryption === 'none' ? await wholeLinesLength(file) : (await file.stat()).size
      if (byteLength > 0) return file.createReadStream({ start: 0, end: byteLength - 1, highWaterMark: READ_BYTES })
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    return Readable.from([])
  }

  /** In no order. @param underWay which are not to be deleted. */
  async usage(underWay: (id: string) => boolean = () => false): Promise<readonly RecordingUsage[]> {
    return inBatches(await this.ids(), MAX_READS, (id) => this.usageOf(id, underWay(id)))
  }

  async usageOf(id: string, underWay: boolean): Promise<RecordingUsage> {
    const directory = join(this.#directory, id)
    const [self, manifest, ...casts] = await Promise.all(
      ['', MANIFEST_FILE, castFile({ encryption: 'none' }), castFile({ encryption: 'jwe' })].map((name) =>
        stat(join(directory, name)).catch(() => null),
      ),
    )
    return {
      id,
      byteLength: [manifest, ...casts].reduce((sum, file) => sum + (file?.size ?? 0), 0),
      writtenAtMs: manifest?.mtimeMs ?? self?.mtimeMs ?? Date.now(),
      underWay,
    }
  }
}

/** Bytes up to and with the last line feed. What a crash left behind it is half a line, or zeros. */
async function wholeLinesLength(file: FileHandle): Promise<number> {
  const { size } = await file.stat()
  const block = Buffer.alloc(BLOCK_BYTES)
  for (let end = size; end > 0; end -= BLOCK_BYTES) {
    const start = Math.max(0, end - BLOCK_BYTES)
    const { bytesRead } = await file.read(block, 0, end - start, start)
    const at = block.subarray(0, bytesRead).lastIndexOf(0x0a)
    if (at >= 0) return start + at + 1
  }
  return 0
}

export function newestFirst(manifests: readonly RecordingManifest[]): readonly RecordingManifest[] {
  return manifests.toSorted((a, b) => b.session.startedAtMs - a.session.startedAtMs)
}

/** What `work` makes of each, in order, `size` at a time. */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  size: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  for (let start = 0; start < items.length; start += size) {
    results.push(...(await Promise.all(items.slice(start, start + size).map(work))))
  }
  return results
}
