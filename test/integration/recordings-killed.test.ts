import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openDirectoryStore } from '../../src/audit/recording-store/directory-store.ts'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import { verifyRecording } from '../../src/audit/recording-store/verify-recording.ts'
import { type RawSession, execIn } from '../support/raw-sessions.ts'
import { textOf } from '../support/recordings.ts'
import { frame } from '../support/session-bytes.ts'
import { type ConnectorProcess, startStagedConnector } from '../support/staged-connector.ts'

const SESSIONS = 50
/** Each session says something so often, in milliseconds. */
const SPEAKS_EVERY_MS = 50

let connector: ConnectorProcess
let sessions: RawSession[]
let speaking: NodeJS.Timeout | undefined

beforeEach(async () => {
  sessions = []
  connector = await startStagedConnector({ recordings: { store: { directory: 'recordings' } } })
})
afterEach(async () => {
  clearInterval(speaking)
  for (const { client } of sessions) client.destroy()
  await connector.stop()
})

/** When the last thing that a recording plays was said, in milliseconds since the epoch. */
function lastSaidAtMs(cast: string): number {
  const [, ...lines] = cast.trimEnd().split('\n')
  const output = lines
    .map((line) => JSON.parse(line) as [number, string, string])
    .filter(([, code]) => code === 'o')
    .map(([, , text]) => text)
    .join('')
  return Number(/(\d{13})\r\n$/.exec(output)?.[1])
}

async function manifestsIn(directory: string): Promise<RecordingManifest[]> {
  const ids = (await readdir(directory)).filter((name) => /^[\da-f-]{36}$/.test(name))
  return await Promise.all(
    ids.map(
      async (id) => JSON.parse(await readFile(join(directory, id, 'manifest.json'), 'utf8')) as RecordingManifest,
    ),
  )
}

it('a connector that is killed in 50 sessions leaves each of them to be played to within a second of the end', async () => {
  for (let i = 0; i < SESSIONS; i += 10) {
    const opening = Array.from({ length: 10 }, (_, j) => execIn(`web-${i + j}`, connector))
    sessions.push(...(await Promise.all(opening)))
  }
  expect(sessions.filter((session) => session.received().startsWith('HTTP/1.1 101 '))).toHaveLength(SESSIONS)
  const heard = new Map<RawSession, number>()
  const speak = (): void => {
    for (const session of sessions) session.upstream?.write(frame(2, `\x01${Date.now()}\r\n`))
  }
  speaking = setInterval(speak, SPEAKS_EVERY_MS)
  const begunAtMs = Date.now()
  await expect
    .poll(() => {
      for (const session of sessions) heard.set(session, Number(/(\d{13})\r\n$/.exec(session.received())?.[1]))
      return Math.min(...heard.values()) - begunAtMs
    })
    .toBeGreaterThan(2_000)
  const killedAtMs = Date.now()
  await connector.kill()
  clearInterval(speaking)
  await Promise.all(sessions.map(({ closed }) => closed))

  await connector.restart()
  const directory = join(connector.directory, 'recordings')
  await expect
    .poll(async () => (await manifestsIn(directory)).filter(({ state }) => state === 'interrupted').length)
    .toBe(SESSIONS)
  const manifests = await manifestsIn(directory)
  expect(new Set(manifests.map(({ session }) => session.pod)).size).toBe(SESSIONS)

  // Not the running connector's own: it may be opened only once.
  await connector.kill()
  const fail = (error: Error): never => {
    throw error
  }
  const store = await openDirectoryStore(directory, null, { onProblem: fail, onInterrupted: () => undefined })
  for (const { session, incomplete, outcome } of manifests) {
    expect({ incomplete, exitCode: outcome?.exitCode ?? null }).toEqual({
      incomplete: 'the connector stopped during the session',
      exitCode: null,
    })
    expect(killedAtMs - lastSaidAtMs(await textOf(await store.read(session.id)))).toBeLessThan(1_000)
    expect(await verifyRecording(store, session.id, null)).toMatchObject({ verdict: 'incomplete' })
  }
  await store.close()
  await connector.restart()
})
