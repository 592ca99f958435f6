/*
 * A program that records three sessions on a disk which becomes full, and then has room again:
 * `recording-full-disk.ts DIRECTORY`, with nothing else on that disk. It writes what came of it as one line of JSON.
 */
import { readdirSync } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { openDirectoryStore } from '../../src/audit/recording-store/directory-store.ts'
import { verifyRecording } from '../../src/audit/recording-store/verify-recording.ts'
import { isSystemError } from '../../src/audit/recording-store/storage-failure.ts'
import { finishedManifest, newManifest, textOf } from './recordings.ts'

const [directory = ''] = process.argv.slice(2)
const problems: string[] = []
const openFiles = (): number => readdirSync('/proc/self/fd').length
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const store = await openDirectoryStore(join(directory, 'kept'), null, {
  onProblem: ({ message }) => problems.push(message),
  onInterrupted: ({ session }) => interrupted.push(session.pod),
})
const interrupted: string[] = []
const openFilesBefore = openFiles()

const failures: Record<string, string[]> = {}
async function begin(pod: string) {
  const manifest = newManifest({ pod })
  const told = (failures[pod] = [] as string[])
  const writer = await store.create(
    manifest,
    ({ message }) => told.push(message),
    () => undefined,
  )
  writer.append('{"version":2,"width":80,"height":24}\n')
  return { id: manifest.session.id, writer, manifest, told }
}
const quiet = await begin('quiet')
const [loud, louder] = [await begin('loud'), await begin('louder')]

while ((await textOf(await store.read(quiet.id))) === '') await new Promise((resolve) => setTimeout(resolve, 10))
await fill(join(directory, 'filler'))
const line = `[1,"o","${'x'.repeat(1000)}"]\n`
for (const { writer, told } of [loud, louder]) {
  while (told.length === 0) {
    writer.append(line)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
const writableWhenFull = store.writable
const refused = await begin('refused').catch((error: unknown) => String(error))
const finishOfLoud = await loud.writer.finish(finishedManifest(loud.manifest)).catch((error: unknown) => String(error))
await quiet.writer.finish(finishedManifest(quiet.manifest))
await unlink(join(directory, 'filler'))
await until(() => store.writable && interrupted.length === 2)
const later = await begin('later')
await later.writer.finish(finishedManifest(later.manifest))
const openFilesAfter = openFiles()

const verdicts: Record<string, string> = {}
for (const { session } of await store.list()) {
  verdicts[session.pod] = (await verifyRecording(store, session.id, null)).verdict
}
await store.close()
const leaked = openFilesAfter - openFilesBefore
process.stdout.write(
  `${JSON.stringify({ problems, failures, interrupted, writableWhenFull, refused, finishOfLoud, verdicts, leaked })}\n`,
)

/** Takes the room that is left on the disk. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (;;) await file.write(Buffer.alloc(4096))
  } catch (error) {
    if (!isSystemError(error) || error.code !== 'ENOSPC') throw error
  } finally {
    await file.close()
  }
}
