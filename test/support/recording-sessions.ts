/*
 * A program that records sessions, to be killed meanwhile: `recording-sessions.ts DIRECTORY COUNT [PUBLIC_KEY]`. Every
 * 20 ms each session says what time it is. It writes `under way` when all of them have done so for a while.
 */
import { openDirectoryStore } from '../../src/audit/recording-store/directory-store.ts'
import { loadPublicKey } from '../../src/audit/recording-store/encryption.ts'
import type { RecordingWriter } from '../../src/audit/recording-store/recording-store.ts'
import { newManifest } from './recordings.ts'

const [directory = '', count = '', publicKey] = process.argv.slice(2)
const fail = (error: Error): never => {
  throw error
}
const store = await openDirectoryStore(directory, publicKey === undefined ? null : await loadPublicKey(publicKey), {
  onProblem: fail,
  onInterrupted: () => undefined,
})
const writers: RecordingWriter[] = []
for (let i = 0; i < Number(count); i += 1) {
  const writer = await store.create(newManifest(), fail, () => undefined)
  writer.append('{"version":2,"width":80,"height":24}\n')
  writers.push(writer)
}
const started = performance.now()
let told = false
setInterval(() => {
  const line = `${JSON.stringify([(performance.now() - started) / 1000, 'o', `${Date.now()} ${'é'.repeat(100)}`])}\n`
  for (const writer of writers) writer.append(line)
  if (told || performance.now() - started < 2_000) return
  told = true
  process.stdout.write('under way\n')
}, 20)
