import type { Readable } from 'node:stream'
import type { RecordingManifest } from '../recording/recording-manifest.ts'

/** Where recordings are kept. */
export interface RecordingStore {
  /** Whether a recording opened now would be kept. */
  readonly writable: boolean
  /**
   * Opens a recording; its manifest is kept before this resolves.
   *
   * @param onFailure called at most once, when what was appended can no longer be kept.
   * @param onDrain called when `append` may be used freely again after it returned false.
   * @throws when it cannot be kept.
   */
  create(manifest: RecordingManifest, onFailure: (error: Error) => void, onDrain: () => void): Promise<RecordingWriter>
  /** Newest first. Recordings still under way, and those cut off by a crash, are among them. */
  list(): Promise<readonly RecordingManifest[]>
  /** Null when there is none of that id. */
  manifest(id: string): Promise<RecordingManifest | null>
  /** The asciicast as it is stored: encrypted where the store encrypts. Null when there is none of that id. */
  read(id: string): Promise<Readable | null>
  /** Deletes a recording that is not under way. Resolves to false when there is none of that id. */
  remove(id: string): Promise<boolean>
  /** Finishes what was appended, and lets go of timers and files. */
  close(): Promise<void>
}

/** A recording under way. */
export interface RecordingWriter {
  /**
   * Appends lines of the asciicast, each with its newline, as text or UTF-8 whose memory is not kept; they are kept at
   * most one second later. Returns false when more waits than should: append only what cannot be held back until the
   * drain. When far more waits, the recording fails. After a failure it does nothing.
   */
  append(lines: string | Uint8Array): boolean
  /**
   * Keeps what was appended and the manifest's last form, to which the chunk hashes are added here. Resolves to the
   * `sha256:…` of the manifest's bytes.
   *
   * @throws when it cannot be kept.
   */
  finish(manifest: RecordingManifest): Promise<string>
}
