import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { Readable } from 'node:stream'
import { compactDecrypt, type CompactDecryptResult, decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import { readTextFile } from '../../document/text-file.ts'
import { KEY_TYPE, keyAlgorithm, keyId, MANIFEST_TYPE, MAX_KEY_BYTES, SEGMENT_TYPE } from './encryption.ts'
import { connectionsSchema, elidedSchema, filesSchema } from './manifest-file.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'

/** A longer line is no segment that a store wrote, in bytes. */
const MAX_LINE_BYTES = 64 * 1024 * 1024

const sealedParts = z.object({
  command: z.array(z.string()),
  connections: connectionsSchema,
  files: filesSchema,
  elided: elidedSchema,
  message: z.string(),
})

/** Opens what was encrypted to its public half. */
export interface RecordingPrivateKey {
  readonly key: KeyObject
  readonly algorithm: 'ECDH-ES+A256KW' | 'RSA-OAEP-256'
  readonly keyId: string
}

/**
 * Reads a private key from a file: PEM (PKCS #8, SEC 1 or PKCS #1) or JWK, without a passphrase.
 *
 * @throws Error with one phrase that does not name the file.
 */
export async function loadPrivateKey(path: string): Promise<RecordingPrivateKey> {
  const text = await readTextFile(path, MAX_KEY_BYTES)
  let key: KeyObject
  try {
    key = createPrivateKey(
      text.trimStart().startsWith('{') ? { key: JSON.parse(text) as JsonWebKey, format: 'jwk' } : text,
    )
  } catch (cause) {
    throw new Error('it is no private key in PEM or JWK, or it has a passphrase', { cause })
  }
  return { key, algorithm: keyAlgorithm(key), keyId: await keyId(createPublicKey(key)) }
}

/**
 * The asciicast of an encrypted recording, as it comes. Destroying it destroys `stored`.
 *
 * It fails, after everything before that point, with an Error of one sentence: where a segment was altered, moved, left
 * out or is of another recording; and where the end is missing though the manifest tells how the session ended.
 *
 * @param stored what `RecordingStore.read` gave.
 * @param manifest which recording it has to be.
 */
export function decryptRecording(
  stored: Readable,
  manifest: RecordingManifest,
  privateKey: RecordingPrivateKey,
): Readable {
  return Readable.from(decryptedSegments(stored, manifest, privateKey), { objectMode: false })
}

async function* decryptedSegments(
  stored: Readable,
  { session, outcome }: RecordingManifest,
  privateKey: RecordingPrivateKey,
): AsyncGenerator<Buffer> {
  let contentKey: Uint8Array | null = null
  let segment = 0
  let ended = false
  for await (const line of wholeLines(stored)) {
    if (contentKey === null) {
      contentKey = await unwrap(line, privateKey, KEY_TYPE, session.id)
      continue
    }
    if (ended) throw new Error(`the recording goes on after its last segment`)
    const { plaintext, protectedHeader } = await decryptSegment(line, contentKey, segment)
    const { recording, typ, segment: number, last } = protectedHeader
    if (typ !== SEGMENT_TYPE || recording !== session.id) throw new Error(`segment ${segment} is of another recording`)
    if (number !== segment) throw new Error(`segment ${segment} of the recording is missing or was moved`)
    ended = last === true
    segment += 1
    if (plaintext.length > 0) yield Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength)
  }
  if (!ended && outcome !== null) throw new Error(`the end of the recording, from segment ${segment} on, is missing`)
}

/** A manifest with what it has sealed in its place again; one without anything sealed as it is. @throws Error */
export async function unsealManifest(
  manifest: RecordingManifest,
  privateKey: RecordingPrivateKey,
): Promise<RecordingManifest> {
  const { sealed, ...open } = manifest
  if (sealed === undefined) return manifest
  const plaintext = await unwrap(sealed, privateKey, MANIFEST_TYPE, manifest.session.id)
  const { command, connections, files, elided, message } = sealedParts.parse(
    JSON.parse(Buffer.from(plaintext).toString('utf8')),
  )
  return {
    ...open,
    session: { ...manifest.session, command },
    outcome: open.outcome === null ? null : { ...open.outcome, message },
    connections,
    files,
    elided,
  }
}

async function unwrap(
  jwe: string,
  { key, algorithm, keyId: ownId }: RecordingPrivateKey,
  type: string,
  recording: string,
): Promise<Uint8Array> {
  let kid: string | undefined
  let result: CompactDecryptResult
  try {
    ;({ kid } = decodeProtectedHeader(jwe))
    result = await compactDecrypt(jwe, key, {
      keyManagementAlgorithms: [algorithm],
      contentEncryptionAlgorithms: ['A256GCM'],
    })
  } catch (cause) {
    if (kid !== undefined && kid !== ownId) {
      throw new Error(`the recording is encrypted to the key ${kid}, not to ${ownId}`, { cause })
    }
    throw new Error('the recording cannot be decrypted: it was altered', { cause })
  }
  const { typ, recording: named } = result.protectedHeader
  if (typ !== type || named !== recording) throw new Error('what is encrypted is of another recording')
  return result.plaintext
}

async function decryptSegment(line: string, contentKey: Uint8Array, segment: number): Promise<CompactDecryptResult> {
  try {
    return await compactDecrypt(line, contentKey, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    })
  } catch (cause) {
    throw new Error(`segment ${segment} of the recording was altered`, { cause })
  }
}

/** Lines without their line feed; a last one without any is left out. */
async function* wholeLines(stored: Readable): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let byteLength = 0
  for await (const block of stored as AsyncIterable<Buffer>) {
    let start = 0
    for (let at = block.indexOf(0x0a); at >= 0; at = block.indexOf(0x0a, start)) {
      parts.push(block.subarray(start, at))
      yield Buffer.concat(parts).toString('latin1')
      parts = []
      byteLength = 0
      start = at + 1
    }
    parts.push(block.subarray(start))
    byteLength += block.length - start
    if (byteLength > MAX_LINE_BYTES) throw new Error('the recording has a line too long to be a segment')
  }
}
