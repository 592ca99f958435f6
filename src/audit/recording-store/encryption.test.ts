import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { finishedManifest, newManifest, textOf } from '../../../test/support/recordings.ts'
import { decryptRecording, loadPrivateKey, type RecordingPrivateKey, unsealManifest } from './decrypt-recording.ts'
import { loadPublicKey, type RecordingPublicKey, sealManifest, SegmentEncryption } from './encryption.ts'

// Attack G8.

interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const ec = (namedCurve: string): KeyPair => generateKeyPairSync('ec', { namedCurve })
const pairs = {
  'P-256': ec('P-256'),
  'P-521': ec('P-521'),
  X25519: generateKeyPairSync('x25519'),
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
}

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-keys-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

async function file(content: string | Buffer): Promise<string> {
  const path = join(directory, randomUUID())
  await writeFile(path, content)
  return path
}

async function load(
  pair: KeyPair,
  form: 'PEM' | 'JWK' = 'PEM',
): Promise<{ publicKey: RecordingPublicKey; privateKey: RecordingPrivateKey }> {
  const jwk = form === 'JWK'
  const spki = pair.publicKey.export({ type: 'spki', format: 'pem' })
  const pkcs8 = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
  return {
    publicKey: await loadPublicKey(await file(jwk ? JSON.stringify(pair.publicKey.export({ format: 'jwk' })) : spki)),
    privateKey: await loadPrivateKey(
      await file(jwk ? JSON.stringify(pair.privateKey.export({ format: 'jwk' })) : pkcs8),
    ),
  }
}

/** The line with the key and the segments that a store would write. */
async function encrypted(
  id: string,
  key: RecordingPublicKey,
  texts: readonly string[],
  ended = true,
): Promise<Buffer[]> {
  const encryption = new SegmentEncryption(id, key)
  const parts = [await encryption.keyLine()]
  for (const text of texts) parts.push(Buffer.concat(encryption.segment([Buffer.from(text)], false)))
  if (ended) parts.push(Buffer.concat(encryption.segment([], true)))
  return parts
}

const stored = (parts: readonly Buffer[]): Readable => Readable.from([Buffer.concat(parts)])
const texts = ['{"version":2}\n', '[0.1,"o","one"]\n', '[0.2,"o","two €"]\n', '[0.3,"o","three"]\n']
const manifest = finishedManifest(newManifest())
const { id } = manifest.session

describe.each(['PEM', 'JWK'] as const)('with a key in %s', (form) => {
  it.each(Object.entries(pairs))('decrypts what was encrypted to %s', async (_name, pair) => {
    const { publicKey, privateKey } = await load(pair, form)
    const parts = await encrypted(id, publicKey, texts)
    expect(Buffer.concat(parts).includes('three')).toBe(false)
    expect(await textOf(decryptRecording(stored(parts), manifest, privateKey))).toBe(texts.join(''))
  })
})

it.each([1, 7, 100_000])('decrypts a stored form that comes in blocks of %i bytes', async (blockBytes) => {
  const { publicKey, privateKey } = await load(pairs.X25519)
  const bytes = Buffer.concat(await encrypted(id, publicKey, texts))
  const blocks = Array.from({ length: Math.ceil(bytes.length / blockBytes) }, (_, i) =>
    bytes.subarray(blockBytes * i, blockBytes * (i + 1)),
  )
  expect(await textOf(decryptRecording(Readable.from(blocks), manifest, privateKey))).toBe(texts.join(''))
})

describe('a recording that was tampered with', () => {
  const swap = (parts: Buffer[], a: number, b: number): Buffer[] =>
    parts.map((part, i) => parts[i === a ? b : i === b ? a : i] ?? part)
  const altered = (parts: Buffer[], at: number, byte: number, mask: number): Buffer[] => {
    const part = Buffer.from(parts.at(at) ?? '')
    const index = byte < 0 ? part.length + byte : byte
    part.writeUInt8(part.readUInt8(index) ^ mask, index)
    return parts.with(at, part)
  }

  it.each([
    [
      'two segments change places',
      (parts: Buffer[]) => swap(parts, 2, 3),
      /segment 1 .*altered or moved, or is miss/,
      1,
    ],
    ['one is left out', (parts: Buffer[]) => parts.toSpliced(2, 1), /segment 1 .*altered or moved, or is missing/, 1],
    ['one is there twice', (parts: Buffer[]) => parts.toSpliced(2, 0, parts[2] ?? Buffer.alloc(0)), /segment 2 /, 2],
    [
      'the end is cut off',
      (parts: Buffer[]) => parts.slice(0, 4),
      /the end of the recording, from segment 3 on, is mi/,
      3,
    ],
    [
      'only half of the last segment is left',
      (parts: Buffer[]) => [Buffer.concat(parts).subarray(0, -9)],
      /the end of/,
      4,
    ],
    ['one byte differs', (parts: Buffer[]) => altered(parts, 2, -20, 1), /segment 1 .*altered/, 1],
    ['a tag differs', (parts: Buffer[]) => altered(parts, 2, -1, 1), /segment 1 .*altered/, 1],
    ['a segment is made the last', (parts: Buffer[]) => altered(parts, 2, 0, 0x80), /segment 1 .*altered/, 1],
    ['the last is made another', (parts: Buffer[]) => altered(parts, -1, 0, 0x80), /the end of/, 4],
    ['a length is shorter', (parts: Buffer[]) => altered(parts, 2, 3, 1), /segment 1 .*altered/, 1],
    [
      'a length is beyond all bounds',
      (parts: Buffer[]) => altered(parts, 2, 0, 0x7f),
      /segment 1 .*longer than may be/,
      1,
    ],
    [
      'zeros stand for what was written',
      (parts: Buffer[]) => [...parts.slice(0, 3), Buffer.alloc(99)],
      /the end of/,
      2,
    ],
    ['it goes on', (parts: Buffer[]) => [...parts, parts[1] ?? Buffer.alloc(0)], /goes on after its last segment/, 4],
  ])('is refused where %s, and plays up to there', async (_what, tamper, message, played) => {
    const { publicKey, privateKey } = await load(pairs['P-256'])
    const text = decryptRecording(stored(tamper(await encrypted(id, publicKey, texts))), manifest, privateKey)
    const seen: string[] = []
    await expect(async () => {
      for await (const block of text) seen.push(String(block))
    }).rejects.toThrow(message)
    expect(seen.join('')).toBe(texts.slice(0, played).join(''))
  })

  it('is refused where it is another one as a whole, or another one’s segments', async () => {
    const { publicKey, privateKey } = await load(pairs['P-256'])
    const other = await encrypted(randomUUID(), publicKey, texts)
    await expect(textOf(decryptRecording(stored(other), manifest, privateKey))).rejects.toThrow('another recording')
    const spliced = (await encrypted(id, publicKey, texts)).with(2, other[2] ?? Buffer.alloc(0))
    await expect(textOf(decryptRecording(stored(spliced), manifest, privateKey))).rejects.toThrow(/altered/)
  })
})

it.each([
  ['in the middle of a segment', (parts: Buffer[]) => [...parts.slice(0, -1), parts.at(-1)?.subarray(0, 9)], 3],
  ['in the middle of a head', (parts: Buffer[]) => [...parts.slice(0, -1), parts.at(-1)?.subarray(0, 3)], 3],
  ['between two segments', (parts: Buffer[]) => parts, 4],
  ['before zeros that a crash of the machine left', (parts: Buffer[]) => [...parts, Buffer.alloc(1000)], 4],
  ['in the line with the key', (parts: Buffer[]) => [parts[0]?.subarray(0, -5)], 0],
])('plays what there is of a recording that was cut off %s', async (_where, cut, played) => {
  const { publicKey, privateKey } = await load(pairs['P-256'])
  const parts = cut(await encrypted(id, publicKey, texts, false)).filter((part) => part !== undefined)
  const interrupted = { ...manifest, outcome: null }
  const text = await textOf(decryptRecording(stored(parts), interrupted, privateKey))
  expect(text).toBe(texts.slice(0, played).join(''))
})

it('says to which key a recording is encrypted when it is another', async () => {
  const [{ publicKey }, { privateKey }] = await Promise.all([load(pairs['P-256']), load(pairs['P-521'])])
  const parts = await encrypted(id, publicKey, texts)
  await expect(textOf(decryptRecording(stored(parts), manifest, privateKey))).rejects.toThrow(
    `encrypted to the key ${publicKey.keyId}`,
  )
})

describe('a sealed manifest', () => {
  it('shows who and where, and neither what was typed nor what was moved', async () => {
    const { publicKey, privateKey } = await load(pairs.RSA)
    const sealed = await sealManifest(manifest, publicKey)
    expect(JSON.stringify(sealed)).not.toContain('secret')
    expect(sealed.session).toEqual({ ...manifest.session, command: [] })
    expect(sealed.outcome).toEqual({ ...manifest.outcome, message: '' })
    expect(await unsealManifest(sealed, privateKey)).toEqual({ ...manifest, encryption: 'jwe' })
  })

  it('takes no parts of another recording', async () => {
    const { publicKey, privateKey } = await load(pairs.X25519)
    const other = await sealManifest(newManifest(), publicKey)
    const { sealed } = other
    expect(sealed).toBeDefined()
    await expect(unsealManifest({ ...manifest, ...(sealed && { sealed }) }, privateKey)).rejects.toThrow(/another/)
  })
})

describe('a key for the connector', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const signing = generateKeyPairSync('ed25519')
  it.each([
    ['a private key', pairs['P-256'].privateKey.export({ type: 'pkcs8', format: 'pem' }), 'it is a private key'],
    ['a private JWK', JSON.stringify(pairs.X25519.privateKey.export({ format: 'jwk' })), 'it is a private key'],
    ['a short RSA key', small.publicKey.export({ type: 'spki', format: 'pem' }), '1024 bits, expected at least 2048'],
    ['a signing key', signing.publicKey.export({ type: 'spki', format: 'pem' }), 'of type ed25519'],
    ['a foreign curve', ec('secp256k1').publicKey.export({ type: 'spki', format: 'pem' }), 'curve secp256k1'],
    ['something else', 'key', 'no public key'],
    ['broken JSON', '{', 'no public key'],
  ])('is not %s', async (_what, content, message) => {
    await expect(loadPublicKey(await file(content))).rejects.toThrow(message)
  })
})
