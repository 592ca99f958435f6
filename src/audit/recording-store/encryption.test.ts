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

/** The lines that a store would write. */
async function encrypted(
  id: string,
  key: RecordingPublicKey,
  texts: readonly string[],
  ended = true,
): Promise<string[]> {
  const encryption = new SegmentEncryption(id, key)
  const lines = [await encryption.keyLine()]
  for (const text of texts) lines.push(encryption.segmentLine(Buffer.from(text), false))
  if (ended) lines.push(encryption.segmentLine(new Uint8Array(), true))
  return lines.map(String)
}

const stored = (lines: readonly string[]): Readable => Readable.from([Buffer.from(lines.join(''))])
const texts = ['{"version":2}\n', '[0.1,"o","one"]\n', '[0.2,"o","two €"]\n', '[0.3,"o","three"]\n']
const manifest = finishedManifest(newManifest())
const { id } = manifest.session

describe.each(['PEM', 'JWK'] as const)('with a key in %s', (form) => {
  it.each(Object.entries(pairs))('decrypts what was encrypted to %s', async (_name, pair) => {
    const { publicKey, privateKey } = await load(pair, form)
    const lines = await encrypted(id, publicKey, texts)
    expect(lines.join('')).not.toContain('three')
    expect(await textOf(decryptRecording(stored(lines), manifest, privateKey))).toBe(texts.join(''))
  })
})

it('decrypts whatever the blocks in which the stored form comes', async () => {
  const { publicKey, privateKey } = await load(pairs.X25519)
  const bytes = Buffer.from((await encrypted(id, publicKey, texts)).join(''))
  const blocks = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) => bytes.subarray(7 * i, 7 * i + 7))
  expect(await textOf(decryptRecording(Readable.from(blocks), manifest, privateKey))).toBe(texts.join(''))
})

describe('a recording that was tampered with', () => {
  const swap = (lines: string[], a: number, b: number): string[] =>
    lines.map((line, i) => lines[i === a ? b : i === b ? a : i] ?? line)

  it.each([
    ['two segments change places', (lines: string[]) => swap(lines, 2, 3), /segment 1 .*missing or was moved/, 1],
    ['one is left out', (lines: string[]) => lines.toSpliced(2, 1), /segment 1 .*missing or was moved/, 1],
    ['one is there twice', (lines: string[]) => lines.toSpliced(2, 0, lines[2] ?? ''), /segment 2 .*was moved/, 2],
    ['the end is cut off', (lines: string[]) => lines.slice(0, 4), /the end of the recording.*is missing/, 3],
    ['only half of the last line is left', (lines: string[]) => [lines.join('').slice(0, -9)], /the end of/, 4],
    ['one byte differs', (lines: string[]) => lines.with(2, flipped(lines[2] ?? '')), /segment 1 .*altered/, 1],
    ['it goes on', (lines: string[]) => [...lines, lines[1] ?? ''], /goes on after its last segment/, 4],
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
    const spliced = (await encrypted(id, publicKey, texts)).with(2, other[2] ?? '')
    await expect(textOf(decryptRecording(stored(spliced), manifest, privateKey))).rejects.toThrow(/altered/)
  })
})

it('plays a recording without an end whose session has none either', async () => {
  const { publicKey, privateKey } = await load(pairs['P-256'])
  const lines = await encrypted(id, publicKey, texts, false)
  const torn = [...lines.slice(0, -1), (lines.at(-1) ?? '').slice(0, 40)]
  const interrupted = { ...manifest, outcome: null }
  expect(await textOf(decryptRecording(stored(torn), interrupted, privateKey))).toBe(texts.slice(0, 3).join(''))
})

it('says to which key a recording is encrypted when it is another', async () => {
  const [{ publicKey }, { privateKey }] = await Promise.all([load(pairs['P-256']), load(pairs['P-521'])])
  const lines = await encrypted(id, publicKey, texts)
  await expect(textOf(decryptRecording(stored(lines), manifest, privateKey))).rejects.toThrow(
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

/** With one character of the ciphertext changed. */
function flipped(line: string): string {
  const at = line.length - 40
  return `${line.slice(0, at)}${line[at] === 'A' ? 'B' : 'A'}${line.slice(at + 1)}`
}
