import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { finishedManifest, newManifest } from '../../../test/support/recordings.ts'
import { CHUNK_BYTES } from './chunk-hashes.ts'
import { openDirectoryStore } from './directory-store.ts'
import { RecordingDirectory } from './recording-directory.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'
import { type RecordingVerification, verifyRecording } from './verify-recording.ts'

const line = `[1,"o","${'x'.repeat(91)}"]\n`
const lines = 7_000
const byteLength = line.length * lines

let directory: string
let manifest: RecordingManifest
let hash: string
let cast: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-recordings-'))
  const store = await openDirectoryStore(directory, null, {
    onProblem: () => undefined,
    onInterrupted: () => undefined,
  })
  manifest = newManifest()
  const writer = await store.create(
    manifest,
    () => undefined,
    () => undefined,
  )
  for (let i = 0; i < lines; i += 1) writer.append(line)
  hash = await writer.finish(finishedManifest(manifest))
  await store.close()
  cast = join(directory, manifest.session.id, 'recording.cast')
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

const verify = (anchor: string | null = hash, id = manifest.session.id): Promise<RecordingVerification> =>
  verifyRecording(new RecordingDirectory(directory), id, anchor)

async function changeManifest(change: (text: string) => string): Promise<void> {
  const path = join(directory, manifest.session.id, 'manifest.json')
  await writeFile(path, change(await readFile(path, 'utf8')))
}

it('finds a recording intact', async () => {
  expect(await verify()).toEqual({ verdict: 'intact', byteLength, manifestHash: hash })
})

it('finds the chunk in which a byte differs', async () => {
  const bytes = await readFile(cast)
  bytes[CHUNK_BYTES + 5] = 0x41
  await writeFile(cast, bytes)
  expect(await verify()).toEqual({ verdict: 'altered', chunk: 1, from: CHUNK_BYTES, to: 2 * CHUNK_BYTES })
})

it('finds where the end was cut off', async () => {
  await truncate(cast, CHUNK_BYTES + 3 * line.length)
  const left = Math.floor((CHUNK_BYTES + 3 * line.length) / line.length) * line.length
  expect(await verify()).toEqual({ verdict: 'truncated', chunk: 1, from: left, to: 2 * CHUNK_BYTES })
  await rm(cast)
  expect(await verify()).toEqual({ verdict: 'truncated', chunk: 0, from: 0, to: CHUNK_BYTES })
})

it('finds lines that were added', async () => {
  await appendFile(cast, line)
  expect(await verify()).toEqual({
    verdict: 'altered',
    chunk: Math.floor(byteLength / CHUNK_BYTES),
    from: 2 * CHUNK_BYTES,
    to: byteLength + line.length,
  })
})

it('finds a manifest that the audit trail does not know', async () => {
  await changeManifest((text) => text.replace('ana@example.com', 'bob@example.com'))
  expect(await verify()).toMatchObject({ verdict: 'manifest-altered' })
  expect(await verify(null)).toMatchObject({ verdict: 'intact' })
})

it('finds a manifest that is none', async () => {
  await changeManifest((text) => text.slice(9))
  expect(await verify(null)).toEqual({
    verdict: 'manifest-altered',
    reason: `the manifest of recording ${manifest.session.id} is damaged`,
  })
})

it('tells what was kept of a recording that was cut off, or is best-effort', async () => {
  await changeManifest((text) => text.replace('"incomplete": ""', '"incomplete": "the disk was full for a while"'))
  expect(await verify(null)).toMatchObject({
    verdict: 'incomplete',
    reason: 'the disk was full for a while',
    byteLength,
  })
  await changeManifest((text) => text.replace('"complete"', '"recording"'))
  expect(await verify(null)).toMatchObject({ verdict: 'incomplete', byteLength })
})

it('knows when there is none', async () => {
  expect(await verify(null, newManifest().session.id)).toEqual({ verdict: 'missing' })
})
