import type { Logger } from 'pino'
import { loadPublicKey } from '../audit/recording-store/encryption.ts'
import { type RecordingStorage, openRecordingStore } from '../audit/recording-store/open-recording-store.ts'
import { JsonEscaping } from '../audit/recording/json-escaping.ts'
import { openRecorder } from '../audit/recording/recorder.ts'
import type { RecordingStore } from '../audit/recording-store/recording-store.ts'
import type { RecordingsConfig } from '../config/connector-config.ts'
import type { Recordings } from '../gateway/recordings.ts'
import { describeFailure } from './describe-failure.ts'

/** The store of recordings, which the caller closes, and what the gateway opens them with. */
export async function openRecordings(
  { store: kept, publicKeyFile, maxAgeMs, maxBytes, maskInput }: RecordingsConfig,
  log: Logger,
): Promise<{ readonly store: RecordingStore; readonly recordings: Recordings }> {
  const store = await openRecordingStore({
    storage: recordingStorage(kept),
    encryptTo: publicKeyFile === null ? null : await loadPublicKey(publicKeyFile),
    retention: { maxAgeMs, maxBytes },
    events: {
      onProblem(error) {
        log.error(describeFailure(error), 'recordings.failed')
      },
      onInterrupted({ session }, hash) {
        log.warn({ session: session.id, auditId: session.auditId, manifest: hash }, 'recording.interrupted')
      },
      onDeleted(session, reason) {
        log.info({ session, reason }, 'recording.deleted')
      },
    },
  })
  const maskPatterns = maskInput.map((pattern) => new RegExp(pattern, 'gu'))
  const escaping = new JsonEscaping()
  const recordings: Recordings = {
    get writable() {
      return store.writable
    },
    open: (facts, input, events) => openRecorder({ store, facts, input, maskPatterns, escaping, ...events }),
    async discard(id) {
      try {
        await store.remove(id)
      } catch (error) {
        log.error(describeFailure(error), 'recordings.failed')
      }
    },
  }
  return { store, recordings }
}

function recordingStorage(store: RecordingsConfig['store']): RecordingStorage {
  if (store.kind === 'directory') return { kind: 'directory', directory: store.path }
  const { bucket, prefix, region, endpoint = null, forcePathStyle, spool, maxSpoolBytes } = store
  return {
    kind: 's3',
    location: { bucket, prefix, region, endpoint, forcePathStyle, serverSideEncryption: null },
    spool: { directory: spool, maxBytes: maxSpoolBytes },
  }
}
