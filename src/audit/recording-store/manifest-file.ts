import { createHash } from 'node:crypto'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { RecordingManifest } from '../recording/recording-manifest.ts'

/** Name of the manifest in a recording's directory, and the last part of its key in a bucket. */
export const MANIFEST_FILE = 'manifest.json'
/** A longer manifest is not read. */
export const MAX_MANIFEST_BYTES = 64 * 1024 * 1024

const count = z.int().nonnegative()
const milliseconds = z.number()

export const connectionsSchema = z.array(
  z.object({
    port: count,
    sentBytes: count,
    receivedBytes: count,
    openedAtMs: milliseconds,
    closedAtMs: milliseconds.nullable(),
    error: z.string(),
  }),
)

export const filesSchema = z.array(
  z.object({
    direction: z.enum(['upload', 'download']),
    path: z.string(),
    type: z.enum(['file', 'directory', 'symlink', 'link', 'other']),
    byteLength: count,
    hash: z.string(),
  }),
)

export const elidedSchema = z.array(
  z.object({
    stream: z.enum(['stdin', 'stdout', 'stderr']),
    kind: z.enum(['binary', 'archive', 'input']),
    firstByte: count,
    byteLength: count,
    hash: z.string(),
    hashedFromByte: count,
    note: z.string(),
  }),
)

const manifestSchema: z.ZodType<RecordingManifest> = z.object({
  apiVersion: z.literal('postern.dev/v1alpha1'),
  kind: z.literal('Recording'),
  session: z.object({
    id: z.string(),
    kind: z.enum(['exec', 'attach', 'portforward']),
    socket: z.string(),
    namespace: z.string(),
    pod: z.string(),
    container: z.string(),
    command: z.array(z.string()),
    tty: z.boolean(),
    stdin: z.boolean(),
    protocol: z.enum(['SPDY/3.1', 'websocket']),
    subprotocol: z.string(),
    username: z.string(),
    groups: z.array(z.string()),
    impersonatedUsername: z.string(),
    sourceIP: z.string(),
    userAgent: z.string(),
    auditId: z.string(),
    rule: z.string(),
    policyRevision: z.string(),
    record: z.enum(['required', 'best-effort', 'off']),
    startedAtMs: milliseconds,
  }),
  state: z.enum(['recording', 'complete', 'interrupted']),
  outcome: z
    .object({
      endedAtMs: milliseconds,
      exitCode: z.int().nullable(),
      endedBy: z.string(),
      message: z.string(),
    })
    .nullable(),
  incomplete: z.string(),
  streams: z.object({
    stdin: count.exactOptional(),
    stdout: count.exactOptional(),
    stderr: count.exactOptional(),
  }),
  elided: elidedSchema,
  input: z.object({ recorded: z.boolean(), maskedCharacters: count }),
  connections: connectionsSchema,
  droppedConnections: count,
  files: filesSchema,
  droppedFiles: count,
  encryption: z.enum(['none', 'jwe']),
  sealed: z.string().exactOptional(),
  chunks: z.array(z.object({ byteLength: count, hash: z.string() })),
})

/** Whether a text is what recordings are named by: a UUID in small letters. It is safe as part of a path then. */
export function isRecordingId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}

/** Name of the asciicast beside the manifest. */
export function castFile(manifest: Pick<RecordingManifest, 'encryption'>): string {
  return manifest.encryption === 'jwe' ? 'recording.cast.jwe' : 'recording.cast'
}

/**
 * Reads a manifest's bytes.
 *
 * @param id which recording it has to be of.
 * @throws Error when they are no manifest of that recording.
 */
export function parseManifest(bytes: Uint8Array, id: string): RecordingManifest {
  let parsed: RecordingManifest
  try {
    parsed = manifestSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (cause) {
    throw new Error(`the manifest of recording ${id} is damaged`, { cause })
  }
  if (parsed.session.id !== id) throw new Error(`the manifest of recording ${id} is of another one`)
  return parsed
}

export function renderManifest(manifest: RecordingManifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
}

/** `sha256:…` of bytes. */
export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The bytes of the manifest in a recording's directory; null when there is none. */
export async function readManifestFile(directory: string): Promise<Buffer | null> {
  try {
    const path = join(directory, MANIFEST_FILE)
    const { size } = await stat(path)
    if (size > MAX_MANIFEST_BYTES) throw new Error(`a manifest is longer than ${MAX_MANIFEST_BYTES} bytes`)
    return await readFile(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** Puts a manifest in a recording's directory, whole or not at all. Resolves to its `sha256:…`. */
export async function writeManifestFile(directory: string, manifest: RecordingManifest): Promise<string> {
  const bytes = renderManifest(manifest)
  const path = join(directory, MANIFEST_FILE)
  const temporary = `${path}.tmp`
  try {
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncDirectory(directory)
  return sha256(bytes)
}

/** Makes what was created, renamed or removed in a directory survive a crash of the machine. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Whether a file operation failed because there is no such file. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
