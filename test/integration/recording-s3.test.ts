import { generateKeyPairSync } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { access, appendFile, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { type AddressInfo, type Server, type Socket, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { decryptRecording, loadPrivateKey, unsealManifest } from '../../src/audit/recording-store/decrypt-recording.ts'
import type { RecordingArchive } from '../../src/audit/recording-store/directory-store.ts'
import { loadPublicKey, type RecordingPublicKey } from '../../src/audit/recording-store/encryption.ts'
import { openRecordingStore } from '../../src/audit/recording-store/open-recording-store.ts'
import { isRecordingId } from '../../src/audit/recording-store/manifest-file.ts'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import type { RetentionPolicy } from '../../src/audit/recording-store/retention.ts'
import { verifyRecording } from '../../src/audit/recording-store/verify-recording.ts'
import { type ObjectStore, startObjectStore } from '../support/object-store.ts'
import { finishedManifest, newManifest, textOf } from '../support/recordings.ts'

const buildsWithinMs = 15 * 60_000
const header = '{"version":2,"width":80,"height":24}\n'
const mebibyte = 1024 * 1024
/** What a stop grants uploads where the bucket takes none. */
const UPLOADS_AT_STOP_MS = 500
/** What a stop may take beside, on any machine. */
const BESIDE_MS = 10_000

let objects: ObjectStore
let directory: string
let spool: string
let prefix: string
let problems: string[]
let deleted: string[]
let stores: RecordingArchive[]

beforeAll(async () => {
  objects = await startObjectStore()
  for (const [name, value] of Object.entries(objects.environment)) vi.stubEnv(name, value)
}, buildsWithinMs)
afterAll(async () => {
  vi.unstubAllEnvs()
  await objects.close()
})

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-s3-'))
  spool = join(directory, 'spool')
  prefix = `${directory.slice(-6)}/`
  problems = []
  deleted = []
  stores = []
})
afterEach(async () => {
  for (const store of stores) await store.close()
  await rm(directory, { recursive: true })
})

interface Differences {
  readonly bucket?: string
  readonly endpoint?: string
  readonly maxSpoolBytes?: number
  readonly uploadsAtStopMs?: number
  readonly encryptTo?: RecordingPublicKey
  readonly retention?: RetentionPolicy
}

async function openStore(differences: Differences = {}): Promise<RecordingArchive> {
  const store = await openRecordingStore({
    storage: {
      kind: 's3',
      location: {
        bucket: differences.bucket ?? objects.bucket,
        prefix,
        region: null,
        endpoint: differences.endpoint ?? objects.endpoint,
        forcePathStyle: true,
        serverSideEncryption: null,
      },
      spool: {
        directory: spool,
        maxBytes: differences.maxSpoolBytes ?? 100 * mebibyte,
        ...(differences.uploadsAtStopMs !== undefined && { uploadsAtStopMs: differences.uploadsAtStopMs }),
      },
    },
    encryptTo: differences.encryptTo ?? null,
    retention: differences.retention ?? { maxAgeMs: null, maxBytes: null },
    events: {
      onProblem: ({ message }) => problems.push(message),
      onInterrupted: () => undefined,
      onDeleted: (id, reason) => deleted.push(`${id}: ${reason}`),
    },
  })
  stores.push(store)
  return store
}

async function record(
  store: RecordingArchive,
  text = `${header}[1,"o","said"]\n`,
): Promise<[RecordingManifest, string]> {
  const manifest = newManifest()
  const disk = new EventEmitter()
  const writer = await store.create(
    manifest,
    (error) => problems.push(error.message),
    () => disk.emit('drain'),
  )
  for (let at = 0; at < text.length; at += mebibyte) {
    const drained = once(disk, 'drain')
    if (!writer.append(text.slice(at, at + mebibyte))) await drained
  }
  return [manifest, await writer.finish(finishedManifest(manifest))]
}

const inSpool = async (): Promise<string[]> => (await readdir(spool)).filter(isRecordingId)
const uploaded = (): Promise<void> => expect.poll(inSpool).toEqual([])
const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

describe('a recording in a bucket', () => {
  it('is uploaded when its session has ended, and is gone from the spool then', async () => {
    const store = await openStore()
    const [{ session }, hash] = await record(store)
    expect(await textOf(await store.read(session.id))).toBe(`${header}[1,"o","said"]\n`)
    await uploaded()
    expect(await readFile(objects.file(`${prefix}${session.id}/recording.cast`), 'utf8')).toContain('said')
    expect(await store.list()).toMatchObject([{ state: 'complete', session: { id: session.id } }])
    expect(await store.manifest(session.id)).toMatchObject({ state: 'complete' })
    expect(await textOf(await store.read(session.id))).toBe(`${header}[1,"o","said"]\n`)
    expect(await verifyRecording(store, session.id, hash)).toMatchObject({ verdict: 'intact' })
    expect(problems).toEqual([])
  })

  it('is uploaded in parts when it is large, and encrypted where that is asked for', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const [publicFile, privateFile] = [join(directory, 'public.pem'), join(directory, 'private.pem')]
    await writeFile(publicFile, publicKey.export({ type: 'spki', format: 'pem' }))
    await writeFile(privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const store = await openStore({ encryptTo: await loadPublicKey(publicFile) })
    const text = header + `[1,"o","${'secret '.repeat(20)}"]\n`.repeat(100_000)
    const [{ session }, hash] = await record(store, text)
    await uploaded()
    expect((await stat(objects.file(`${prefix}${session.id}/recording.cast.jwe`))).size).toBeGreaterThan(text.length)
    expect(await verifyRecording(store, session.id, hash)).toMatchObject({ verdict: 'intact' })
    const key = await loadPrivateKey(privateFile)
    const [manifest, stored] = [await store.manifest(session.id), await store.read(session.id)]
    if (manifest === null || stored === null) throw new Error('it is not there')
    expect((await textOf(decryptRecording(stored, manifest, key))) === text).toBe(true)
    expect((await unsealManifest(manifest, key)).session.command).toEqual(session.command)
  })

  it('is deleted there and in the spool', async () => {
    const store = await openStore()
    const [{ session }] = await record(store)
    await uploaded()
    expect(await store.remove(session.id)).toBe(true)
    expect(await store.remove(session.id)).toBe(false)
    expect([await store.manifest(session.id), await store.read(session.id), await store.list()]).toEqual([
      null,
      null,
      [],
    ])
    expect(await isThere(objects.file(`${prefix}${session.id}/recording.cast`))).toBe(false)
  })

  it('does not come back when it is deleted during its upload', async () => {
    const store = await openStore()
    const [{ session }] = await record(store, header + `[1,"o","${'x'.repeat(1000)}"]\n`.repeat(20_000))
    expect(await store.remove(session.id)).toBe(true)
    const [next] = await record(store)
    await uploaded()
    expect(await store.list()).toMatchObject([{ session: { id: next.session.id } }])
    expect((await store.usage()).map(({ id }) => id)).toEqual([next.session.id])
    expect(problems).toEqual([])
  })

  it('is found altered when somebody changed it there', async () => {
    const store = await openStore()
    const [{ session }, hash] = await record(store)
    await uploaded()
    await writeFile(objects.file(`${prefix}${session.id}/recording.cast`), `${header}[1,"o","SAID"]\n`)
    expect(await verifyRecording(store, session.id, hash)).toMatchObject({ verdict: 'altered', chunk: 0 })
  })
})

describe('a bucket that is away', () => {
  it('stops nothing: the recording waits in the spool, and is uploaded when it is back', async () => {
    await objects.stop()
    const store = await openStore()
    const [{ session }] = await record(store)
    await expect.poll(() => problems).toEqual(['recordings cannot be uploaded at present; they are kept in the spool'])
    expect(store.writable).toBe(true)
    expect(await textOf(await store.read(session.id))).toContain('said')
    await expect(store.list()).rejects.toThrow()
    await objects.start()
    await uploaded()
    expect(await textOf(await store.read(session.id))).toContain('said')
    expect(problems).toHaveLength(1)
  })

  it('lets no recording be opened once the spool is full', async () => {
    await objects.stop()
    const store = await openStore({ maxSpoolBytes: mebibyte })
    await record(store, header + `[1,"o","${'x'.repeat(1000)}"]\n`.repeat(1100))
    expect(store.writable).toBe(false)
    await expect(record(store)).rejects.toThrow('the spool is full of recordings that wait for their upload')
    await objects.start()
    await uploaded()
    expect(store.writable).toBe(true)
    await record(store)
  })

  it('gets at the next start what is still in the spool, also what was cut off', async () => {
    await objects.stop()
    const store = await openStore({ uploadsAtStopMs: UPLOADS_AT_STOP_MS })
    const [complete] = await record(store)
    const cutOff = newManifest()
    await store.create(
      cutOff,
      () => undefined,
      () => undefined,
    )
    await store.close()
    await appendFile(join(spool, cutOff.session.id, 'recording.cast'), `${header}[1,"o","torn`)
    await objects.start()
    const next = await openStore()
    await uploaded()
    expect(await verifyRecording(next, complete.session.id, null)).toMatchObject({ verdict: 'intact' })
    expect(await next.manifest(cutOff.session.id)).toMatchObject({ state: 'interrupted' })
    expect(await readFile(objects.file(`${prefix}${cutOff.session.id}/recording.cast`), 'utf8')).toBe(header)
  })

  it('is told from one without that recording', async () => {
    const store = await openStore({ bucket: 'another-bucket' })
    await expect(store.read(newManifest().session.id)).rejects.toThrow()
    await expect(store.manifest(newManifest().session.id)).rejects.toThrow()
  })
})

/** How long it takes, in milliseconds. */
async function timed(act: () => Promise<void>): Promise<number> {
  const begunAtMs = performance.now()
  await act()
  return performance.now() - begunAtMs
}

/** A server in the bucket's place; the test is handed what it is asked. */
async function withServer(server: Server, act: (endpoint: string) => Promise<void>): Promise<void> {
  const connections = new Set<Socket>()
  server.on('connection', (connection: Socket) => {
    connections.add(connection.on('error', () => undefined))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await act(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    for (const connection of connections) connection.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}

describe('a store that is closed', () => {
  it('has put into the bucket first what had ended', async () => {
    const store = await openStore()
    const recorded: RecordingManifest[] = []
    for (let i = 0; i < 8; i += 1) recorded.push((await record(store))[0])
    await store.close()
    expect(await inSpool()).toEqual([])
    for (const { session } of recorded) {
      const manifest = await readFile(objects.file(`${prefix}${session.id}/manifest.json`), 'utf8')
      expect(JSON.parse(manifest)).toMatchObject({ state: 'complete' })
      expect(await readFile(objects.file(`${prefix}${session.id}/recording.cast`), 'utf8')).toContain('said')
    }
    expect(problems).toEqual([])
    expect(store.writable).toBe(false)
    await expect(record(store)).rejects.toThrow()
  })

  it('tries once more what the bucket did not take before, and does not wait for the next try that was due', async () => {
    await objects.stop()
    const store = await openStore()
    await record(store)
    await expect.poll(() => problems).toHaveLength(1)
    await objects.start()
    const [{ session }] = await record(store)
    await store.close()
    expect(await inSpool()).toEqual([])
    expect(await isThere(objects.file(`${prefix}${session.id}/recording.cast`))).toBe(true)
    expect(problems).toHaveLength(1)
  })

  it.each([
    ['answers nothing', createTcpServer()],
    ['refuses', createServer((_request, response) => response.writeHead(403).end())],
  ])('does not wait for longer than it may for a bucket that %s, and says what is left', async (_what, server) => {
    await withServer(server, async (endpoint) => {
      const retention = { maxAgeMs: 1, maxBytes: null }
      const store = await openStore({ endpoint, uploadsAtStopMs: UPLOADS_AT_STOP_MS, retention })
      for (let i = 0; i < 3; i += 1) await record(store)
      expect(await timed(() => store.close())).toBeLessThan(UPLOADS_AT_STOP_MS + BESIDE_MS)
      expect(problems.at(-1)).toBe(
        `3 recordings are left in the spool ${spool}: the bucket did not take them within 0.5 s of the stop`,
      )
      expect(await inSpool()).toHaveLength(3)
      // The spool is free for the next connector, which uploads them.
      await openStore()
      await uploaded()
    })
  })

  it('ends in the bucket the upload in parts that it breaks off', async () => {
    const asked: string[] = []
    const server = createServer((incoming, outgoing) => {
      const target = new URL(incoming.url ?? '/', 'http://bucket')
      const operation = `${incoming.method ?? ''} ${[...target.searchParams.keys()].filter((name) => name !== 'x-id').join(' ')}`
      asked.push(operation)
      // No part ever arrives.
      if (operation.startsWith('PUT')) return
      const headers = { 'Content-Type': 'application/xml' }
      const body =
        incoming.method === 'POST'
          ? '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>'
          : ''
      outgoing.writeHead(body === '' ? 204 : 200, headers).end(body)
    })
    await withServer(server, async (endpoint) => {
      const store = await openStore({ endpoint, uploadsAtStopMs: UPLOADS_AT_STOP_MS })
      await record(store, header + `[1,"o","${'x'.repeat(1000)}"]\n`.repeat(9_000))
      await expect.poll(() => asked.at(-1)).toMatch(/^PUT /)
      await store.close()
      expect(asked.at(-1)).toBe('DELETE uploadId')
      expect(await inSpool()).toHaveLength(1)
    })
  })
})

it('keeps no more in the bucket than retention lets it', async () => {
  const store = await openStore()
  const [old] = await record(store, header + `[1,"o","${'x'.repeat(1000)}"]\n`.repeat(500))
  await uploaded()
  const aWhileAgo = new Date(Date.now() - 60_000)
  for (const name of ['manifest.json', 'recording.cast']) {
    await utimes(objects.file(`${prefix}${old.session.id}/${name}`), aWhileAgo, aWhileAgo)
  }
  const [young] = await record(store)
  await uploaded()
  await store.close()
  const limited = await openStore({ retention: { maxAgeMs: null, maxBytes: 100_000 } })
  await expect.poll(() => deleted).toEqual([`${old.session.id}: size`])
  expect(await limited.list()).toMatchObject([{ session: { id: young.session.id } }])
})

describe('a server that keeps no checksums', () => {
  it.each([
    ['gets what it confirms by its content', (text: string) => text, true],
    ['is not believed when it holds something else', (text: string) => text.replace('said', 'SAID'), false],
  ])('%s', async (_what, changed, believed) => {
    // The real server, seen through one that hides its checksums and may show other contents.
    const proxy = createServer((incoming, outgoing) => {
      const onward = request(
        `${objects.endpoint}${incoming.url ?? '/'}`,
        { method: incoming.method, headers: incoming.headers, setHost: false },
        (answer) => {
          const headers = Object.entries(answer.headers).filter(([name]) => !name.startsWith('x-amz-checksum'))
          outgoing.writeHead(answer.statusCode ?? 500, Object.fromEntries(headers))
          answer.on('data', (block: Buffer) => outgoing.write(changed(block.toString('latin1')), 'latin1'))
          answer.on('end', () => outgoing.end())
        },
      )
      incoming.pipe(onward)
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    const { port } = proxy.address() as AddressInfo
    try {
      const store = await openStore({ endpoint: `http://127.0.0.1:${port}`, uploadsAtStopMs: UPLOADS_AT_STOP_MS })
      const [{ session }] = await record(store)
      if (believed) await uploaded()
      else await expect.poll(() => problems).toHaveLength(1)
      expect(await inSpool()).toEqual(believed ? [] : [session.id])
      await store.close()
    } finally {
      proxy.closeAllConnections()
      await new Promise((resolve) => proxy.close(resolve))
    }
  })
})
