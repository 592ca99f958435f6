import { generateKeyPairSync } from 'node:crypto'
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import type { ConnectorInput } from '../../src/config/connector-schema.ts'
import { stageSurroundings } from '../../test/support/staged-gateway.ts'
import type { Endpoint } from './client.ts'
import { type MeasuredProcess, startMeasured } from './measured-process.ts'

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).href
const POLL_MS = 5

/** What is kept of sessions. */
export type Recording = 'off' | 'on' | 'encrypted'

/** The API server that sessions are led to. */
export interface Upstream {
  readonly port: number
  /** PEM. */
  readonly certificateAuthority: string
}

/** `postern connector start` in a process of its own. */
export interface Connector {
  readonly process: MeasuredProcess
  readonly endpoint: Endpoint
  /** Waits until the newest recording is finished and returns its manifest. Null when nothing is recorded. */
  takeRecording(): Promise<RecordingManifest | null>
  stop(): Promise<void>
}

/** Starts a connector with a staged issuer in front of the API server. The caller stops it. */
export async function startConnector(
  recording: Recording,
  upstream: Upstream,
  flags: string[] = [],
): Promise<Connector> {
  const surroundings = await stageSurroundings()
  const { directory, document, port, certificateAuthority, token } = surroundings
  const recordings = join(directory, 'recordings')
  const { publicKey } = generateKeyPairSync('x25519')
  await writeFile(join(directory, 'recordings.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
  const staged = parse(await readFile(document, 'utf8')) as ConnectorInput
  const input: ConnectorInput = {
    ...staged,
    sockets: staged.sockets.map((socket) => ({ ...socket, upstream: { server: serverAt(upstream) } })),
    ...(recording !== 'off' && {
      recordings: {
        store: { directory: recordings },
        ...(recording === 'encrypted' && { encryption: { publicKey: 'recordings.pub' } }),
      },
    }),
  }
  await writeFile(document, stringify(input))
  const started = startMeasured(MAIN, ['connector', 'start', '--config', document], flags)
  await listening(started)
  const taken: string[] = []
  return {
    process: started,
    endpoint: { port, certificateAuthority, prefix: '/sockets/production', token },
    takeRecording: () => (recording === 'off' ? Promise.resolve(null) : takeRecording(recordings, taken)),
    async stop() {
      await started.stop()
      await surroundings.stop()
    },
  }
}

function serverAt({ port, certificateAuthority }: Upstream) {
  return { url: `https://127.0.0.1:${port}`, certificateAuthority, credential: { token: { file: 'token' } } }
}

async function listening({ child }: MeasuredProcess): Promise<void> {
  let said = ''
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.includes('connector.started')) resolve(undefined)
  })
  child.once('exit', () => {
    reject(new Error(said))
  })
  await promise
}

/** @param taken those that were taken before. They are deleted now: when its manifest is there, the store is not done yet. */
async function takeRecording(directory: string, taken: string[]): Promise<RecordingManifest> {
  for (const id of taken.splice(0)) await rm(join(directory, id), { recursive: true })
  for (;;) {
    const names = await readdir(directory, { withFileTypes: true })
    const [id] = names.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    if (id === undefined) throw new Error('nothing was recorded')
    const manifest = JSON.parse(await readFile(join(directory, id, 'manifest.json'), 'utf8')) as RecordingManifest
    if (manifest.state !== 'recording') {
      taken.push(id)
      return manifest
    }
    await wait(POLL_MS)
  }
}
