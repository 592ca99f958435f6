import { createDecipheriv, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { Readable } from 'node:stream'
import { compactDecrypt, type CompactDecryptResult, decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import { readTextFile } from '../../document/text-file.ts'
import {
  KEY_TYPE,
  keyAlgorithm,
  keyId,
  LAST_SEGMENT,
  MANIFEST_TYPE,
  MAX_KEY_BYTES,
  SEGMENT_HEAD_BYTES,
  SEGMENT_TAG_BYTES,
  segmentNonce,
} from './encryption.ts'
import { connectionsSchema, elidedSchema, filesSchema } from './manifest-file.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'

/** A longer segment is none that a store wrote, in bytes. */
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024

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
 * out or is of another recording; and where the end is missing though the manifest tells how the session ended. What a
 * crash left of a last segment is left out.
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
  const parts = new StoredParts(stored)
  try {
    const keyLine = await parts.line()
    if (keyLine === '' && outcome === null) return
    const contentKey = await unwrap(keyLine, privateKey, KEY_TYPE, session.id)
    for (let segment = 0; ; segment += 1) {
      const head = await parts.take(SEGMENT_HEAD_BYTES)
      const isLast = (head?.readUInt32BE() ?? 0) >= LAST_SEGMENT
      const byteLength = (head?.readUInt32BE() ?? 0) - (isLast ? LAST_SEGMENT : 0)
      if (byteLength > MAX_SEGMENT_BYTES) throw new Error(`segment ${segment} of the recording is longer than may be`)
      // An empty one would be the last: zeros are what a crash of the machine leaves where nothing was written yet.
      const sealed = byteLength > 0 || isLast ? await parts.take(byteLength + SEGMENT_TAG_BYTES) : null
      if (head === null || sealed === null) {
        if (outcome === null) return
        throw new Error(`the end of the recording, from segment ${segment} on, is missing`)
      }
      yield decryptSegment(head, sealed, contentKey, segment)
      if (!isLast) continue
      if ((await parts.take(1)) !== null) throw new Error('the recording goes on after its last segment')
      return
    }
  } finally {
    stored.destroy()
  }
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

/** @throws Error when the segment is not what was written there. */
function decryptSegment(head: Buffer, sealed: Buffer, contentKey: Uint8Array, segment: number): Buffer {
  const options = { authTagLength: SEGMENT_TAG_BYTES }
  const decipher = createDecipheriv('aes-256-gcm', contentKey, segmentNonce(segment), options)
  decipher.setAAD(head).setAuthTag(sealed.subarray(-SEGMENT_TAG_BYTES))
  const text = decipher.update(sealed.subarray(0, -SEGMENT_TAG_BYTES))
  try {
    decipher.final()
  } catch (cause) {
    throw new Error(`segment ${segment} of the recording was altered or moved, or is missing`, { cause })
  }
  return text
}

/** Takes a stream apart. */
class StoredParts {
  readonly #blocks: AsyncIterator<Buffer, undefined>
  /** What came and was not taken yet. */
  #held: Buffer = Buffer.alloc(0)

  constructor(stored: Readable) {
    this.#blocks = (stored as AsyncIterable<Buffer, undefined>)[Symbol.asyncIterator]()
  }

  /** So many bytes; null when there are fewer, which are gone then. */
  async take(byteLength: number): Promise<Buffer | null> {
    const pieces: Buffer[] = []
    for (let missing = byteLength; missing > 0; missing -= pieces.at(-1)?.length ?? 0) {
      if (!(await this.#holdsSome())) return null
      pieces.push(this.#cut(missing))
    }
    return Buffer.concat(pieces)
  }

  /** The bytes before the next line feed; empty when there is none. */
  async line(): Promise<string> {
    let line = ''
    while (line.length < MAX_KEY_BYTES && (await this.#holdsSome())) {
      const end = this.#held.indexOf(0x0a)
      line += this.#cut(end < 0 ? this.#held.length : end + 1).toString('latin1')
      if (end >= 0) return line.slice(0, -1)
    }
    return ''
  }

  async #holdsSome(): Promise<boolean> {
    while (this.#held.length === 0) {
      const { value } = await this.#blocks.next()
      if (value === undefined) return false
      this.#held = value
    }
    return true
  }

  #cut(byteLength: number): Buffer {
    const piece = this.#held.subarray(0, byteLength)
    this.#held = this.#held.subarray(byteLength)
    return piece
  }
}
