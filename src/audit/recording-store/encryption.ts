import { createCipheriv, createPublicKey, type JsonWebKey, type KeyObject, randomBytes } from 'node:crypto'
import { calculateJwkThumbprint, CompactEncrypt } from 'jose'
import { readTextFile } from '../../document/text-file.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'

/** Longest file of a key, in bytes. */
export const MAX_KEY_BYTES = 64 * 1024
/** Of the line that carries a recording's content key. */
export const KEY_TYPE = 'postern-recording-key'
/** Of what a manifest has sealed. */
export const MANIFEST_TYPE = 'postern-recording-manifest'
const OLDEST_RSA_BITS = 2048
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1']

/** Whom recordings are encrypted to. */
export interface RecordingPublicKey {
  readonly key: KeyObject
  readonly algorithm: 'ECDH-ES+A256KW' | 'RSA-OAEP-256'
  /** Its RFC 7638 thumbprint: tells a reader which private key is asked for. */
  readonly keyId: string
}

/** The parts of a manifest that are for the private key's owner alone. */
interface SealedParts {
  readonly command: RecordingManifest['session']['command']
  readonly connections: RecordingManifest['connections']
  readonly files: RecordingManifest['files']
  readonly elided: RecordingManifest['elided']
  /** Of the outcome; empty where there is none. */
  readonly message: string
}

/**
 * Reads a public key from a file: PEM (SPKI) or JWK, RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or X25519.
 *
 * @throws Error with one phrase that does not name the file, also when it holds a private key: a connector must be
 * unable to read what it recorded.
 */
export async function loadPublicKey(path: string): Promise<RecordingPublicKey> {
  const text = await readTextFile(path, MAX_KEY_BYTES)
  const json = text.trimStart().startsWith('{')
  let key: KeyObject
  try {
    const jwk = json ? (JSON.parse(text) as JsonWebKey) : undefined
    if (jwk === undefined ? text.includes('PRIVATE KEY') : jwk.d !== undefined) throw new PrivateKeyGiven()
    key = createPublicKey(jwk === undefined ? text : { key: jwk, format: 'jwk' })
  } catch (cause) {
    if (cause instanceof PrivateKeyGiven) throw new Error('it is a private key, expected the public one', { cause })
    throw new Error('it is no public key in PEM (SPKI) or JWK', { cause })
  }
  return { key, algorithm: keyAlgorithm(key), keyId: await keyId(key) }
}

/** The RFC 7638 thumbprint of a public key. */
export async function keyId(key: KeyObject): Promise<string> {
  return calculateJwkThumbprint(key.export({ format: 'jwk' }))
}

/** How a content key is wrapped to a key. @throws Error when it is of no kind that will do. */
export function keyAlgorithm(key: KeyObject): RecordingPublicKey['algorithm'] {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'x25519':
      return 'ECDH-ES+A256KW'
    case 'ec':
      if (namedCurve !== undefined && CURVES.includes(namedCurve)) return 'ECDH-ES+A256KW'
      throw new Error(`it is on the curve ${namedCurve ?? 'unknown'}, expected P-256, P-384 or P-521`)
    case 'rsa':
      if (modulusLength !== undefined && modulusLength >= OLDEST_RSA_BITS) return 'RSA-OAEP-256'
      throw new Error(`it is an RSA key of ${modulusLength ?? 0} bits, expected at least ${OLDEST_RSA_BITS}`)
    default:
      throw new Error(`it is a key of type ${key.asymmetricKeyType ?? 'unknown'}, expected RSA, EC or X25519`)
  }
}

/** What stands before a segment: whether it is the last (the highest bit), and its length in bytes, as one number. */
export const SEGMENT_HEAD_BYTES = 4
export const LAST_SEGMENT = 0x80000000
export const SEGMENT_TAG_BYTES = 16
/** What is encrypted at a time: memory of that size comes and goes for little. */
const SLICE_BYTES = 32 * 1024

/**
 * Encrypts one recording: a line that wraps a content key of its own to the public key, a compact JWE (RFC 7516), then
 * segments: each its head, the ciphertext by AES-256-GCM, and the tag, which authenticates the head too. The nonce is
 * the segment's number, so that none can be moved or put into another recording unseen, nor the end be left out.
 *
 * @see Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance"
 * (CRYPTO 2015), the STREAM construction
 */
export class SegmentEncryption {
  readonly #recording: string
  readonly #contentKey = randomBytes(32)
  readonly #encryptTo: RecordingPublicKey
  #segment = 0

  constructor(recording: string, encryptTo: RecordingPublicKey) {
    this.#recording = recording
    this.#encryptTo = encryptTo
  }

  /** The first line. */
  async keyLine(): Promise<Buffer> {
    const { key, algorithm, keyId: kid } = this.#encryptTo
    const jwe = await new CompactEncrypt(this.#contentKey)
      .setProtectedHeader({ alg: algorithm, enc: 'A256GCM', typ: KEY_TYPE, kid, recording: this.#recording })
      .encrypt(key)
    return Buffer.from(`${jwe}\n`)
  }

  /** The next segment, as the pieces that it is made of. @param texts less than 2 GiB; they are encrypted in place. */
  segment(texts: readonly Buffer[], last: boolean): Buffer[] {
    const head = Buffer.alloc(SEGMENT_HEAD_BYTES)
    head.writeUInt32BE((last ? LAST_SEGMENT : 0) + texts.reduce((sum, { length }) => sum + length, 0))
    const cipher = createCipheriv('aes-256-gcm', this.#contentKey, segmentNonce(this.#segment++)).setAAD(head)
    for (const text of texts) {
      for (let at = 0; at < text.length; at += SLICE_BYTES) {
        text.set(cipher.update(text.subarray(at, at + SLICE_BYTES)), at)
      }
    }
    cipher.final()
    return [head, ...texts, cipher.getAuthTag()]
  }
}

/** 96 bits, different for each segment of a recording, whose content key is its own. */
export function segmentNonce(segment: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(segment), 4)
  return nonce
}

/** A manifest as it is stored where recordings are encrypted: what was typed and moved is sealed, the rest in clear. */
export async function sealManifest(
  manifest: RecordingManifest,
  { key, algorithm, keyId: kid }: RecordingPublicKey,
): Promise<RecordingManifest> {
  const { session, outcome, connections, files, elided } = manifest
  const parts: SealedParts = {
    command: session.command,
    connections,
    files,
    elided,
    message: outcome?.message ?? '',
  }
  const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify(parts)))
    .setProtectedHeader({ alg: algorithm, enc: 'A256GCM', typ: MANIFEST_TYPE, kid, recording: session.id })
    .encrypt(key)
  return {
    ...manifest,
    session: { ...session, command: [] },
    outcome: outcome === null ? null : { ...outcome, message: '' },
    connections: [],
    files: [],
    elided: [],
    encryption: 'jwe',
    sealed,
  }
}

class PrivateKeyGiven extends Error {}
