import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

const MANIFEST_HASH = /^sha256:[0-9a-f]{64}$/

/**
 * The sessions that a trail says were recorded: their ids, each with the `sha256:…` of its recording's manifest. Lines
 * that are no event are passed over.
 *
 * @throws the file system's error when the trail cannot be read.
 */
export async function readRecordedSessions(path: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity })
  for await (const line of lines) {
    if (!line.includes('"postern.dev/recording":"sha256:')) continue
    const { session, recording } = annotationsOf(line)
    if (typeof session === 'string' && typeof recording === 'string' && MANIFEST_HASH.test(recording))
      found.set(session, recording)
  }
  return found
}

function annotationsOf(line: string): { readonly session?: unknown; readonly recording?: unknown } {
  try {
    const { annotations } = JSON.parse(line) as { annotations?: Record<string, unknown> }
    return { session: annotations?.['postern.dev/session'], recording: annotations?.['postern.dev/recording'] }
  } catch {
    return {}
  }
}
