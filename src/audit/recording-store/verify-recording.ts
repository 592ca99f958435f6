import { ChunkHashes } from './chunk-hashes.ts'
import { parseManifest, sha256 } from './manifest-file.ts'
import type { RecordingReader } from './recording-directory.ts'
import type { RecordedChunk, RecordingManifest } from '../recording/recording-manifest.ts'

/** What {@link verifyRecording} found. Bytes are those of the stored asciicast, `from` included, `to` not. */
export type RecordingVerification =
  /** There is no recording of that id. */
  | { readonly verdict: 'missing' }
  /** Every chunk is what its manifest says, and nothing is missing. */
  | { readonly verdict: 'intact'; readonly byteLength: number; readonly manifestHash: string }
  /** What is there is right, but not all of the session was kept: it is under way, was cut off, or was best-effort. */
  | {
      readonly verdict: 'incomplete'
      readonly reason: string
      readonly byteLength: number
      readonly manifestHash: string
    }
  /** The end is missing, from within the chunk of that index on. */
  | { readonly verdict: 'truncated'; readonly chunk: number; readonly from: number; readonly to: number }
  /** The chunk of that index is not what was recorded; an index past the last: something was added. */
  | { readonly verdict: 'altered'; readonly chunk: number; readonly from: number; readonly to: number }
  /** The manifest is not the one that the audit trail tells of, or is damaged. */
  | { readonly verdict: 'manifest-altered'; readonly reason: string }

/**
 * Holds a recording against its manifest, and the manifest against the audit trail. It needs no key. The first fault
 * is told.
 *
 * @param anchor the manifest's `sha256:…` as the trail has it; null to take the manifest's word, which whoever can
 * write the recording can have changed.
 */
export async function verifyRecording(
  reader: Pick<RecordingReader, 'manifestBytes' | 'read'>,
  id: string,
  anchor: string | null,
): Promise<RecordingVerification> {
  const bytes = await reader.manifestBytes(id)
  if (bytes === null) return { verdict: 'missing' }
  const manifestHash = sha256(bytes)
  if (anchor !== null && anchor !== manifestHash) {
    return { verdict: 'manifest-altered', reason: `it is ${manifestHash}, and the audit trail tells of ${anchor}` }
  }
  let manifest: RecordingManifest
  try {
    manifest = parseManifest(bytes, id)
  } catch (error) {
    return { verdict: 'manifest-altered', reason: error instanceof Error ? error.message : String(error) }
  }

  const stored = new ChunkHashes()
  for await (const block of (await reader.read(id)) ?? []) stored.update(block as Buffer)
  const found = stored.chunks()
  const byteLength = found.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  if (manifest.state === 'recording') {
    return { verdict: 'incomplete', reason: 'it is under way, or was cut off by a crash', byteLength, manifestHash }
  }
  const fault = firstFault(manifest.chunks, found)
  if (fault !== null) return fault
  if (manifest.state === 'interrupted' || manifest.incomplete !== '') {
    return { verdict: 'incomplete', reason: manifest.incomplete, byteLength, manifestHash }
  }
  return { verdict: 'intact', byteLength, manifestHash }
}

function firstFault(
  recorded: readonly RecordedChunk[],
  found: readonly RecordedChunk[],
): Extract<RecordingVerification, { verdict: 'truncated' | 'altered' }> | null {
  let from = 0
  for (const [chunk, { byteLength, hash }] of recorded.entries()) {
    const there = found[chunk]
    const to = from + byteLength
    if (there === undefined || there.byteLength < byteLength) {
      return { verdict: 'truncated', chunk, from: from + (there?.byteLength ?? 0), to }
    }
    if (there.byteLength > byteLength) return { verdict: 'altered', chunk, from, to: from + there.byteLength }
    if (there.hash !== hash) return { verdict: 'altered', chunk, from, to }
    from = to
  }
  const added = found.slice(recorded.length).reduce((sum, chunk) => sum + chunk.byteLength, 0)
  return added === 0 ? null : { verdict: 'altered', chunk: recorded.length, from, to: from + added }
}
