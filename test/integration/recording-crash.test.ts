import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decryptRecording, loadPrivateKey } from '../../src/audit/recording-store/decrypt-recording.ts'
import { type DirectoryStore, openDirectoryStore } from '../../src/audit/recording-store/directory-store.ts'
import { RecordingDirectory } from '../../src/audit/recording-store/recording-directory.ts'
import { verifyRecording } from '../../src/audit/recording-store/verify-recording.ts'
import { textOf } from '../support/recordings.ts'

const program = fileURLToPath(new URL('../support/recording-sessions.ts', import.meta.url))
const sessions = 50
/** What each line holds beside the time: long enough that no ciphertext holds it by chance. */
const phrase = 'é'.repeat(100)

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-crash-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

/** Records until it is killed. Resolves to when that was, in milliseconds since the epoch. */
async function recordAndKill(...argv: string[]): Promise<number> {
  const child = spawn(process.execPath, [program, join(directory, 'kept'), String(sessions), ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const said = await Promise.race([once(createInterface(child.stdout), 'line'), exited])
  expect(said).toEqual(['under way'])
  const killedAtMs = Date.now()
  child.kill('SIGKILL')
  expect(await exited).toEqual([null, 'SIGKILL'])
  return killedAtMs
}

async function reopen(): Promise<{ store: DirectoryStore; interrupted: number }> {
  let interrupted = 0
  const store = await openDirectoryStore(join(directory, 'kept'), null, {
    onProblem: (error) => {
      throw error
    },
    onInterrupted: () => (interrupted += 1),
  })
  return { store, interrupted }
}

/** When the last thing that a recording plays was said. Every line of it has to be one. */
function lastSaidAtMs(cast: string): number {
  const [, ...events] = cast
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as [number, string, string])
  return Number(events.at(-1)?.[2].split(' ')[0])
}

describe('a connector that is killed while it records 50 sessions', () => {
  it('leaves each of them to be played to within a second of its end', async () => {
    const killedAtMs = await recordAndKill()
    // As they lie there: nobody has repaired anything.
    const left = new RecordingDirectory(join(directory, 'kept'))
    for (const { session, state } of await left.list()) {
      expect(state).toBe('recording')
      expect(killedAtMs - lastSaidAtMs(await textOf(await left.read(session.id)))).toBeLessThan(1000)
    }
    const { store, interrupted } = await reopen()
    expect(interrupted).toBe(sessions)
    const manifests = await store.list()
    expect(manifests).toHaveLength(sessions)
    for (const { session, state, incomplete } of manifests) {
      expect({ state, incomplete }).toEqual({
        state: 'interrupted',
        incomplete: 'the connector stopped during the session',
      })
      expect(killedAtMs - lastSaidAtMs(await textOf(await store.read(session.id)))).toBeLessThan(1000)
      expect(await verifyRecording(store, session.id, null)).toMatchObject({ verdict: 'incomplete' })
    }
    await store.close()
  })

  it('does so where it encrypts, and the disk shows nothing of them', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('x25519')
    const [publicFile, privateFile] = [join(directory, 'public.pem'), join(directory, 'private.pem')]
    await writeFile(publicFile, publicKey.export({ type: 'spki', format: 'pem' }))
    await writeFile(privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const killedAtMs = await recordAndKill(publicFile)
    const { store, interrupted } = await reopen()
    expect(interrupted).toBe(sessions)
    const key = await loadPrivateKey(privateFile)
    for (const manifest of await store.list()) {
      const { id } = manifest.session
      const onDisk = await textOf(await store.read(id))
      expect(onDisk.slice(0, onDisk.indexOf('\n'))).toMatch(/^[\w-]+(?:\.[\w-]+){4}$/)
      expect(onDisk.includes(phrase)).toBe(false)
      expect(String(await store.manifestBytes(id))).not.toContain('secret')
      const stored = await store.read(id)
      if (stored === null) throw new Error('it is not there')
      const cast = await textOf(decryptRecording(stored, manifest, key))
      expect(cast.includes(phrase)).toBe(true)
      expect(killedAtMs - lastSaidAtMs(cast)).toBeLessThan(1000)
      expect(await verifyRecording(store, id, null)).toMatchObject({ verdict: 'incomplete' })
    }
    await store.close()
  })
})
