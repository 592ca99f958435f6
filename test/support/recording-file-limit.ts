/*
 * A program that records two sessions, of which one outgrows what a file may be: `recording-file-limit.ts DIRECTORY`,
 * under such a limit. It writes what came of it as one line of JSON.
 */
import { openDirectoryStore } from '../../src/audit/recording-store/directory-store.ts'
import { verifyRecording } from '../../src/audit/recording-store/verify-recording.ts'
import { finishedManifest, newManifest } from './recordings.ts'

const [directory = ''] = process.argv.slice(2)
const failures: string[] = []
let drained = true
const store = await openDirectoryStore(directory, null, { onProblem: () => undefined, onInterrupted: () => undefined })
const [large, small] = [newManifest({ pod: 'large' }), newManifest({ pod: 'small' })]
const fail = (error: Error): void => {
  failures.push(error.message)
}
const [largeWriter, smallWriter] = [
  await store.create(large, fail, () => (drained = true)),
  await store.create(small, fail, () => undefined),
]
const line = `[1,"o","${'x'.repeat(10_000)}"]\n`
smallWriter.append(line)
while (failures.length === 0) {
  if (drained) drained = largeWriter.append(line)
  await new Promise((resolve) => setImmediate(resolve))
}
smallWriter.append(line)
await smallWriter.finish(finishedManifest(small))
while (!store.writable) await new Promise((resolve) => setTimeout(resolve, 10))
const verdicts = {
  large: (await verifyRecording(store, large.session.id, null)).verdict,
  small: (await verifyRecording(store, small.session.id, null)).verdict,
}
await store.close()
process.stdout.write(`${JSON.stringify({ failures, drained, verdicts })}\n`)
