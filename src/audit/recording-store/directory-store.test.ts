import { randomUUID } from 'node:crypto'
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { finishedManifest, newManifest, textOf } from '../../../test/support/recordings.ts'
import { type DirectoryStore, openDirectoryStore, type RecordingStoreEvents } from './directory-store.ts'
import { sha256 } from './manifest-file.ts'
import { RecordingDirectory } from './recording-directory.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'
import type { RecordingWriter } from './recording-store.ts'

const header = '{"version":2,"width":80,"height":24}\n'
const unexpected = (error: Error): never => {
  throw error
}

let directory: string
let problems: string[]
let interrupted: { manifest: RecordingManifest; hash: string }[]
let events: RecordingStoreEvents
let stores: DirectoryStore[]

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'postern-recordings-')), 'kept')
  problems = []
  interrupted = []
  stores = []
  events = {
    onProblem: ({ message }) => problems.push(message),
    onInterrupted: (manifest, hash) => interrupted.push({ manifest, hash }),
  }
})
afterEach(async () => {
  for (const store of stores) await store.close()
  await rm(join(directory, '..'), { recursive: true })
})

async function openStore(): Promise<DirectoryStore> {
  const store = await openDirectoryStore(directory, null, events)
  stores.push(store)
  return store
}

const create = (store: DirectoryStore, manifest: RecordingManifest): Promise<RecordingWriter> =>
  store.create(manifest, unexpected, () => undefined)

/** A recording as a killed process leaves it. */
async function leftOpen(cast: string): Promise<RecordingManifest> {
  const store = await openStore()
  const manifest = newManifest()
  await create(store, manifest)
  await store.close()
  await appendFile(join(directory, manifest.session.id, 'recording.cast'), cast)
  return manifest
}

describe('a recording in a directory', () => {
  it('is kept as it was appended, with the hash of its manifest', async () => {
    const store = await openStore()
    const manifest = newManifest()
    const writer = await create(store, manifest)
    const lines = Array.from({ length: 20_000 }, (_, i) => `[${i},"o","é ${'x'.repeat(i % 50)}"]\n`)
    writer.append(header)
    for (const line of lines) writer.append(line)
    const hash = await writer.finish(finishedManifest(manifest))
    const { id } = manifest.session
    expect(await textOf(await store.read(id))).toBe(header + lines.join(''))
    const kept = await store.manifest(id)
    expect(kept).toMatchObject({ state: 'complete', encryption: 'none', session: manifest.session })
    const { size } = await stat(join(directory, id, 'recording.cast'))
    expect(kept?.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(size)
    expect(hash).toBe(sha256(await readFile(join(directory, id, 'manifest.json'))))
    expect(await readdir(join(directory, id))).toEqual(['manifest.json', 'recording.cast'])
  })

  it('is readable by its owner alone', async () => {
    const store = await openStore()
    const manifest = newManifest()
    await create(store, manifest)
    const mode = async (...path: string[]): Promise<number> => (await stat(join(directory, ...path))).mode & 0o777
    const { id } = manifest.session
    expect([await mode(), await mode(id)]).toEqual([0o700, 0o700])
    expect([await mode(id, 'manifest.json'), await mode(id, 'recording.cast'), await mode('lock')]).toEqual([
      0o600, 0o600, 0o600,
    ])
  })

  it('is there while it is under way, up to its last whole line, and cannot be deleted', async () => {
    const store = await openStore()
    const manifest = newManifest()
    const { id } = manifest.session
    const writer = await create(store, manifest)
    expect(await textOf(await store.read(id))).toBe('')
    writer.append(header)
    await expect.poll(async () => textOf(await store.read(id))).toBe(header)
    writer.append('[1,"o","half')
    await expect.poll(async () => (await store.usage())[0]).toMatchObject({ underWay: true })
    expect(await textOf(await store.read(id))).toBe(header)
    expect(await store.list()).toMatchObject([{ state: 'recording' }])
    await expect(store.remove(id)).rejects.toThrow('under way')
    await writer.finish(finishedManifest(manifest))
    expect(await store.remove(id)).toBe(true)
    expect(await store.remove(id)).toBe(false)
    expect([await store.manifest(id), await store.read(id)]).toEqual([null, null])
    expect((await readdir(directory)).sort()).toEqual(['lock', 'reserve'])
  })

  it('is named by nothing but a UUID', async () => {
    const store = await openStore()
    for (const id of ['..', '../../etc', '', 'recording', randomUUID().toUpperCase(), `${randomUUID()}/..`]) {
      await expect(create(store, newManifest({ id })), id).rejects.toThrow('UUID')
      expect([await store.manifest(id), await store.read(id), await store.remove(id)]).toEqual([null, null, false])
    }
    expect((await readdir(directory)).sort()).toEqual(['lock', 'reserve'])
  })

  it('is not written over by another of its id', async () => {
    const store = await openStore()
    const manifest = newManifest()
    const writer = await create(store, manifest)
    await expect(create(store, manifest)).rejects.toThrow('under way already')
    writer.append(header)
    await writer.finish(finishedManifest(manifest))
    await expect(create(store, manifest)).rejects.toThrow('one of that id already')
    expect(await textOf(await store.read(manifest.session.id))).toBe(header)
  })

  it('asks for a pause when more waits than may, and tells when to go on', async () => {
    const store = await openStore()
    let drained = 0
    const manifest = newManifest()
    const writer = await store.create(manifest, unexpected, () => (drained += 1))
    const line = `${'x'.repeat(64 * 1024)}\n`
    let appended = 0
    while (writer.append(line)) appended += 1
    expect(appended).toBe(31)
    await expect.poll(() => drained).toBe(1)
    expect(writer.append(line)).toBe(true)
    await writer.finish(finishedManifest(manifest))
    expect((await textOf(await store.read(manifest.session.id))).length).toBe(33 * line.length)
    expect(drained).toBe(1)
  })

  it('fails, alone, when its recorder does not pause', async () => {
    const store = await openStore()
    const failures: string[] = []
    let drained = 0
    const other = newManifest()
    const otherWriter = await create(store, other)
    const manifest = newManifest()
    const writer = await store.create(
      manifest,
      ({ message }) => failures.push(message),
      () => (drained += 1),
    )
    const line = `${'x'.repeat(1024 * 1024 - 1)}\n`
    for (let i = 0; i < 40; i += 1) writer.append(line)
    expect(failures).toEqual([expect.stringMatching(/^the recording cannot be kept: more of the recording is waiting/)])
    expect(drained).toBe(1)
    expect(store.writable).toBe(true)
    await expect(writer.finish(finishedManifest(manifest))).rejects.toThrow('cannot be kept')
    await expect.poll(async () => (await store.manifest(manifest.session.id))?.state).toBe('interrupted')
    await otherWriter.finish(finishedManifest(other))
    expect(problems).toEqual([])
  })

  it('fails when its file is deleted under it', async () => {
    const store = await openStore()
    const failures: string[] = []
    const manifest = newManifest()
    const writer = await store.create(
      manifest,
      ({ message }) => failures.push(message),
      () => undefined,
    )
    await rm(join(directory, manifest.session.id), { recursive: true })
    writer.append(header)
    await expect.poll(() => failures).toEqual(['the recording cannot be kept: the file of the recording was deleted'])
  })
})

describe('a store in a directory', () => {
  it('lists the newest first, and leaves out what is damaged', async () => {
    const store = await openStore()
    const times = [2, 3, 1]
    for (const startedAtMs of times) await create(store, newManifest({ startedAtMs }))
    const damaged = newManifest()
    const writer = await create(store, damaged)
    await writer.finish(finishedManifest(damaged))
    await writeFile(join(directory, damaged.session.id, 'manifest.json'), '{}')
    expect((await store.list()).map(({ session }) => session.startedAtMs)).toEqual([3, 2, 1])
    await expect(store.manifest(damaged.session.id)).rejects.toThrow('damaged')
    const taken = newManifest()
    await writeFile(join(directory, damaged.session.id, 'manifest.json'), JSON.stringify(taken))
    await expect(store.manifest(damaged.session.id)).rejects.toThrow('of another one')
  })

  it('is the only one that writes there', async () => {
    const store = await openStore()
    await expect(openDirectoryStore(directory, null, events)).rejects.toThrow('another connector')
    await store.close()
    await openStore()
  })

  it('keeps what was appended when it is closed, and is not writable then', async () => {
    const store = await openStore()
    const manifest = newManifest()
    const writer = await create(store, manifest)
    writer.append(header)
    await store.close()
    expect(store.writable).toBe(false)
    await expect(create(store, newManifest())).rejects.toThrow('cannot be kept')
    expect(await textOf(await new RecordingDirectory(directory).read(manifest.session.id))).toBe(header)
  })

  it('closes what a killed process left open, once', async () => {
    const manifest = await leftOpen(`${header}[1,"o","a"]\n[2,"o","ha`)
    const { id } = manifest.session
    const store = await openStore()
    expect(await store.manifest(id)).toMatchObject({
      state: 'interrupted',
      outcome: null,
      incomplete: 'the connector stopped during the session',
      chunks: [{ byteLength: `${header}[1,"o","a"]\n`.length }],
    })
    expect(await textOf(await store.read(id))).toBe(`${header}[1,"o","a"]\n`)
    expect(interrupted).toMatchObject([{ manifest: { session: { id } } }])
    expect(interrupted[0]?.hash).toBe(sha256((await store.manifestBytes(id)) ?? Buffer.of()))
    await store.close()
    await openStore()
    expect(interrupted).toHaveLength(1)
    expect(problems).toEqual([])
  })

  it('clears away what was never said to be kept, and nothing else', async () => {
    const manifest = await leftOpen(header)
    const { id } = manifest.session
    await rm(join(directory, id, 'manifest.json'))
    const store = await openStore()
    expect(problems).toEqual([`recording ${id}, which was cut off, cannot be closed`])
    await store.close()
    await rm(join(directory, id, 'recording.cast'))
    await writeFile(join(directory, id, 'manifest.json.tmp'), '{')
    await openStore()
    expect((await readdir(directory)).sort()).toEqual(['lock', 'reserve'])
  })

  it('does not start where it cannot write', async () => {
    await writeFile(directory, '')
    await expect(openDirectoryStore(directory, null, events)).rejects.toThrow(/EEXIST|ENOTDIR/)
  })
})
