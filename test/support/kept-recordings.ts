import { EventEmitter, once } from 'node:events'
import { openDirectoryStore } from '../../src/audit/recording-store/directory-store.ts'
import type { RecordingPublicKey } from '../../src/audit/recording-store/encryption.ts'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'

const LINES_AT_A_TIME = 1_000

/** An event of an asciicast: seconds, code, data. */
type CastEvent = readonly [seconds: number, code: string, data: string]

/** A recording to keep: its last manifest, and what was recorded. */
export interface RecordingToKeep {
  readonly manifest: RecordingManifest
  readonly events: readonly CastEvent[]
}

/** Keeps recordings in a directory as a connector does. */
export async function keepRecordings(
  directory: string,
  encryptTo: RecordingPublicKey | null,
  recordings: readonly RecordingToKeep[],
): Promise<void> {
  const fail = (error: Error): never => {
    throw error
  }
  const store = await openDirectoryStore(directory, encryptTo, { onProblem: fail, onInterrupted: () => undefined })
  for (const { manifest, events } of recordings) {
    const disk = new EventEmitter()
    const writer = await store.create(manifest, fail, () => disk.emit('drain'))
    const lines = [{ version: 2, width: 80, height: 24, title: 'session' }, ...events].map((line) =>
      JSON.stringify(line),
    )
    for (let i = 0; i < lines.length; i += LINES_AT_A_TIME) {
      const taken = writer.append(`${lines.slice(i, i + LINES_AT_A_TIME).join('\n')}\n`)
      if (!taken) await once(disk, 'drain')
    }
    await writer.finish(manifest)
  }
  await store.close()
}
