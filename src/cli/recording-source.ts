import type { Readable } from 'node:stream'
import {
  AsciicastError,
  readAsciicast,
  type Asciicast,
  type AsciicastEvent,
} from '../audit/playback/asciicast-reader.ts'
import { decryptRecording, loadPrivateKey, unsealManifest } from '../audit/recording-store/decrypt-recording.ts'
import type { RecordingPrivateKey } from '../audit/recording-store/decrypt-recording.ts'
import { isRecordingId, parseManifest, renderManifest } from '../audit/recording-store/manifest-file.ts'
import { RecordingDirectory } from '../audit/recording-store/recording-directory.ts'
import type { RecordingManifest } from '../audit/recording/recording-manifest.ts'
import { ClientError } from '../client/client-error.ts'
import type { PortalRecording } from '../client/portal.ts'
import { connectSignedIn, type SignedIn } from '../client/signed-in.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'

/** Flags of every command that reads recordings, as they were given. */
export interface RecordingSourceFlags extends LoginFlags {
  readonly directory?: string
  readonly key?: string
}

/** Where recordings are read from. Its calls throw ClientError, and Error with one sentence. */
export interface RecordingSource {
  /** Newest first, of those that began since. Those of a portal are without chunks, files and connections. */
  list(sinceMs: number): Promise<readonly RecordingManifest[]>
  /** In no order, those with a damaged manifest among them. */
  ids(): Promise<readonly string[]>
  /** Null when there is none of that id. */
  manifest(id: string): Promise<RecordingManifest | null>
  /** The manifest as it is stored, as far as the source tells that. Null when there is none of that id. */
  manifestBytes(id: string): Promise<Buffer | null>
  /** The asciicast as it is stored. Null when there is none. */
  read(id: string): Promise<Readable | null>
}

/** A recording that can be read. */
export interface OpenedRecording {
  readonly manifest: RecordingManifest
  /** From its beginning; may be asked for again. Errors on the way come from its events. */
  cast(): Promise<Asciicast>
  /** The same as bytes, decrypted. */
  bytes(): Promise<Readable>
}

/** What the flags name: a directory, or the portal as the person who is signed in. */
export async function recordingSource(flags: RecordingSourceFlags): Promise<RecordingSource> {
  if (flags.directory !== undefined) return fromDirectory(flags.directory)
  return fromPortal(await connectSignedIn(toTokenRequest(flags)))
}

/**
 * Opens a recording for reading.
 *
 * @param id whole, or how it begins.
 * @throws ClientError `BadArgument` when there is none, when several begin so, and when a key is missing.
 */
export async function openRecording(flags: RecordingSourceFlags, id: string): Promise<OpenedRecording> {
  const source = await recordingSource(flags)
  const found = await findManifest(source, id)
  const key = await keyOf(flags)
  if (found.encryption === 'jwe' && key === null) {
    throw new ClientError(
      'BadArgument',
      `recording ${found.session.id} is encrypted; name the private key that opens it with --key FILE`,
    )
  }
  const manifest = key === null ? found : await unsealManifest(found, key)
  const bytes = async (): Promise<Readable> => {
    const stored = await source.read(manifest.session.id)
    if (stored === null) throw new Error(`recording ${manifest.session.id} has no asciicast`)
    return manifest.encryption === 'jwe' && key !== null ? decryptRecording(stored, manifest, key) : stored
  }
  return { manifest, bytes, cast: async () => openAsciicast(manifest.session.id, await bytes()) }
}

/** An asciicast whose errors name the recording. */
async function openAsciicast(id: string, bytes: Readable): Promise<Asciicast> {
  const named = (error: unknown): unknown =>
    error instanceof AsciicastError
      ? new Error(`recording ${id} cannot be read: ${error.message}`, { cause: error })
      : error
  try {
    const { header, events } = await readAsciicast(bytes)
    return { header, events: checked(events) }
  } catch (error) {
    throw named(error)
  }

  async function* checked(events: Asciicast['events']): AsyncGenerator<AsciicastEvent> {
    try {
      yield* events
    } catch (error) {
      throw named(error)
    }
  }
}

/** The manifest of a recording. @throws ClientError `BadArgument` when there is none, and when several begin so. */
export async function findManifest(source: RecordingSource, id: string): Promise<RecordingManifest> {
  const whole = await completeId(source, id)
  const manifest = await source.manifest(whole)
  if (manifest === null) throw new ClientError('BadArgument', `there is no recording ${whole}`)
  return manifest
}

/** The key that `--key` names; null without one. @throws ClientError `BadArgument` */
export async function keyOf({ key }: RecordingSourceFlags): Promise<RecordingPrivateKey | null> {
  if (key === undefined) return null
  try {
    return await loadPrivateKey(key)
  } catch (cause) {
    throw new ClientError('BadArgument', `--key ${key} cannot be used: ${messageOf(cause)}`, { cause })
  }
}

/** A recording as the API has it. */
export function toObject({ apiVersion, kind, session, ...status }: RecordingManifest): unknown {
  const creationTimestamp = new Date(session.startedAtMs).toISOString().replace(/\.\d+/, '')
  return { apiVersion, kind, metadata: { name: session.id, creationTimestamp }, spec: session, status }
}

/** The id that begins so. @throws ClientError `BadArgument` when none does, and when several do. */
export async function completeId(source: RecordingSource, beginning: string): Promise<string> {
  if (isRecordingId(beginning)) return beginning
  if (!/^[0-9a-f-]{4,36}$/.test(beginning)) {
    throw new ClientError(
      'BadArgument',
      `${JSON.stringify(beginning)} is no recording; name at least 4 characters of its id`,
    )
  }
  const ids = (await source.ids()).filter((id) => id.startsWith(beginning))
  const [only, another] = ids
  if (only === undefined) throw new ClientError('BadArgument', `there is no recording ${beginning}`)
  if (another !== undefined) {
    throw new ClientError(
      'BadArgument',
      `${ids.length} recordings begin with ${beginning}, ${only} is one; name more of it`,
    )
  }
  return only
}

function fromDirectory(directory: string): RecordingSource {
  const reader = new RecordingDirectory(directory)
  const readable = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (cause) {
      throw new ClientError('BadArgument', `--directory cannot be read: ${messageOf(cause)}`, { cause })
    }
  }
  return {
    list: async (sinceMs) => {
      const manifests = await readable(reader.list())
      return manifests.filter(({ session }) => session.startedAtMs >= sinceMs)
    },
    ids: () => readable(reader.ids()),
    manifest: (id) => reader.manifest(id),
    manifestBytes: (id) => reader.manifestBytes(id),
    read: (id) => reader.read(id),
  }
}

function fromPortal({ listRecordings, getRecording, readCast }: SignedIn): RecordingSource {
  const list = async (sinceMs: number): Promise<readonly RecordingManifest[]> => {
    const manifests: RecordingManifest[] = []
    for await (const page of listRecordings()) {
      const read = page.map(toManifest)
      manifests.push(...read.filter(({ session }) => session.startedAtMs >= sinceMs))
      if ((read.at(-1)?.session.startedAtMs ?? sinceMs) < sinceMs) break
    }
    return manifests
  }
  const manifest = async (id: string): Promise<RecordingManifest> => toManifest(await getRecording(id))
  return {
    list,
    ids: async () => (await list(0)).map(({ session }) => session.id),
    manifest,
    manifestBytes: async (id) => renderManifest(await manifest(id)),
    read: readCast,
  }
}

function toManifest({ metadata, spec, status }: PortalRecording): RecordingManifest {
  const manifest = { apiVersion: 'postern.dev/v1alpha1', kind: 'Recording', session: spec, ...status }
  return parseManifest(Buffer.from(JSON.stringify(manifest)), metadata.name)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
