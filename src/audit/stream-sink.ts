import type { Writable } from 'node:stream'
import type { AuditSink } from './audit-sink.ts'

/** Characters that may wait in the stream before requests are refused. */
const MAX_QUEUED_CHARS = 8 * 1024 * 1024

/** Writes events to a stream such as standard output, which stays the caller's to close. */
export function createStreamSink(stream: Writable): AuditSink {
  return {
    get writable() {
      return stream.writable && stream.writableLength <= MAX_QUEUED_CHARS
    },
    write(line) {
      stream.write(line)
    },
    close() {
      return new Promise((resolve) => {
        stream.write('', () => {
          resolve()
        })
      })
    },
  }
}
