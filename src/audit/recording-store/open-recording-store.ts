import { openDirectoryStore, type RecordingArchive, type RecordingStoreEvents } from './directory-store.ts'
import type { RecordingPublicKey } from './encryption.ts'
import { Retention, type RetentionEvents, type RetentionPolicy } from './retention.ts'
import type { S3Location } from './s3-client.ts'
import { openS3Store, type Spool } from './s3-store.ts'

/** Where recordings are kept. */
export type RecordingStorage =
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 's3'; readonly location: S3Location; readonly spool: Spool }

/** How a store of recordings is set up. */
export interface RecordingStoreOptions {
  readonly storage: RecordingStorage
  /** Null to keep recordings in clear. See `loadPublicKey`. */
  readonly encryptTo: RecordingPublicKey | null
  readonly retention: RetentionPolicy
  readonly events: RecordingStoreEvents & RetentionEvents
}

/**
 * Opens a store of recordings, which deletes what is due from then on. Whoever opened it closes it.
 *
 * @throws Error when recordings cannot be written, or another connector writes to the same directory.
 */
export async function openRecordingStore({
  storage,
  encryptTo,
  retention,
  events,
}: RecordingStoreOptions): Promise<RecordingArchive> {
  const store = await openStorage(storage, encryptTo, events)
  if (retention.maxAgeMs === null && retention.maxBytes === null) return store
  const sweeps = new Retention(store, retention, events)
  const close = store.close.bind(store)
  store.close = async () => {
    const swept = sweeps.stop()
    // A bucket that does not answer lets go of a sweep only when it is closed; a directory is let go of when nothing is deleted there.
    if (storage.kind === 'directory') await swept
    await Promise.all([swept, close()])
  }
  return store
}

function openStorage(
  storage: RecordingStorage,
  encryptTo: RecordingPublicKey | null,
  events: RecordingStoreEvents,
): Promise<RecordingArchive> {
  switch (storage.kind) {
    case 'directory':
      return openDirectoryStore(storage.directory, encryptTo, events)
    case 's3':
      return openS3Store(storage.location, storage.spool, encryptTo, events)
  }
}
