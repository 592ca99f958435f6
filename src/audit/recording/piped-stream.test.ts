import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pieces, splits } from '../../../test/support/split-streams.ts'
import { PipedStream } from './piped-stream.ts'
import type { ElidedBytes } from './recording-manifest.ts'
import type { ArchiveEntry } from './tar-account.ts'

interface Told {
  readonly text: string
  readonly notes: readonly string[]
  readonly entries: readonly ArchiveEntry[]
  readonly elided: readonly ElidedBytes[]
}

/** What a stream is told to carry; null stands for a pause. */
function told(chunks: readonly (Uint8Array | null)[], shown = true, resumedAtByte = 0): Told {
  const texts: Buffer[] = []
  const notes: string[] = []
  const entries: ArchiveEntry[] = []
  const observer = {
    text: (text: Uint8Array) => texts.push(Buffer.from(text)),
    note: (sentence: string) => notes.push(sentence),
    entry: (entry: ArchiveEntry) => entries.push(entry),
  }
  const stream = new PipedStream('stdout', observer, shown, resumedAtByte)
  for (const chunk of chunks) {
    if (chunk === null) stream.pause()
    else stream.push(chunk)
  }
  stream.end()
  return { text: Buffer.concat(texts).toString(), notes, entries, elided: stream.elided }
}

function sha256(bytes: Uint8Array): string {
  return 'sha256:' + createHash('sha256').update(bytes).digest('hex')
}

const ARCHIVE = execFileSync('tar', ['-cf', '-', '-C', import.meta.dirname, 'piped-stream.ts', 'recorder.ts'])
const ARCHIVED = ['piped-stream.ts', 'recorder.ts']

test('text is shown and nothing is elided', () => {
  const text = 'línea uno\n'.repeat(1000)
  expect(told([Buffer.from(text)])).toEqual({ text, notes: [], entries: [], elided: [] })
})

test('binary is counted and has the hash of the whole stream', () => {
  const stream = Buffer.concat([Buffer.from('\u007fELF'), randomBytes(500_000)])
  const { text, notes, elided } = told([stream])
  expect(text.length).toBeLessThan(3000)
  expect(elided).toHaveLength(1)
  const [{ firstByte, byteLength, ...rest } = { firstByte: 0, byteLength: 0 }] = elided
  expect(rest).toEqual({ stream: 'stdout', kind: 'binary', hash: sha256(stream), hashedFromByte: 0, note: '' })
  expect(firstByte + byteLength).toBe(stream.length)
  expect(notes).toEqual([
    'What stdout carries from here on is no text and not shown.',
    `${byteLength} bytes of stdout that are no text were not shown.`,
  ])
})

test('text behind binary is shown again', () => {
  const [before, after] = [Buffer.from('before\n'), Buffer.from('after words\n'.repeat(200))]
  const { text, elided } = told([before, Buffer.alloc(100_000), after])
  expect(text).toMatch(/^before\n/)
  expect(text).toMatch(/(after words\n){100}$/)
  expect(elided[0]?.hash).toBe(sha256(Buffer.concat([before, Buffer.alloc(100_000), after])))
})

test('a short answer behind binary is shown when a pause comes after it', () => {
  const { text } = told([Buffer.alloc(10_000), null, Buffer.from('uid=0(root)\n'), null])
  expect(text).toMatch(/uid=0\(root\)\n$/)
})

test('binary behind a mebibyte of text has the hash of what follows', () => {
  const text = Buffer.from('words of text '.repeat(100_000))
  const { elided } = told([text, Buffer.alloc(100_000)])
  const from = elided[0]?.hashedFromByte ?? 0
  expect(from).toBe(elided[0]?.firstByte)
  expect(elided[0]?.hash).toBe(sha256(Buffer.alloc(100_000 + text.length - from)))
})

describe('a tar archive', () => {
  test('is listed and not shown but for the first name', () => {
    const { text, notes, entries, elided } = told([ARCHIVE])
    expect(text).toBe('piped-stream.ts')
    expect(entries.map(({ path }) => path)).toEqual(ARCHIVED)
    const byteLength = ARCHIVE.length - text.length
    expect(elided).toEqual([
      { stream: 'stdout', kind: 'archive', firstByte: 15, byteLength, hash: '', hashedFromByte: 0, note: '' },
    ])
    expect(notes).toHaveLength(2)
  })

  test('is listed when it is not shown at all', () => {
    const { text, entries, elided } = told([ARCHIVE], false)
    expect(text).toBe('')
    expect(entries).toHaveLength(2)
    expect(elided).toMatchObject([{ kind: 'archive', firstByte: 0, byteLength: ARCHIVE.length }])
  })

  test('hides nothing that follows it', () => {
    const tail = Buffer.from('and this is said behind it\n'.repeat(50))
    const { text, elided } = told([ARCHIVE, tail])
    expect(text).toContain(tail.toString())
    expect(elided[0]?.note).toBe('Bytes follow the end of the archive.')
  })

  test('that a retry of cp reads on from is listed from its next header, and hashed', () => {
    const rest = ARCHIVE.subarray(700)
    const { text, entries, elided } = told([rest], true, 700)
    expect(text).toBe('')
    expect(entries.map(({ path }) => path)).toEqual(['recorder.ts'])
    expect(elided).toEqual([
      {
        stream: 'stdout',
        kind: 'archive',
        firstByte: 0,
        byteLength: rest.length,
        hash: sha256(rest),
        hashedFromByte: 0,
        note: 'It begins at byte 700 of an archive.',
      },
    ])
  })
})

test('input that is not shown is counted and hashed', () => {
  const input = Buffer.from('secret words\n'.repeat(1_000_000))
  expect(told([input], false)).toEqual({
    text: '',
    notes: [],
    entries: [],
    elided: [
      {
        stream: 'stdout',
        kind: 'input',
        firstByte: 0,
        byteLength: input.length,
        hash: sha256(input),
        hashedFromByte: 0,
        note: '',
      },
    ],
  })
})

const part = fc.oneof(
  fc.string({ maxLength: 200 }).map((text) => Buffer.from(text)),
  fc.constantFrom(
    ARCHIVE.subarray(0, 4096),
    ARCHIVE,
    Buffer.alloc(3000),
    Buffer.from('plain text\n'.repeat(300)),
    Buffer.from('日本語'.repeat(500)),
  ),
  fc.uint8Array({ minLength: 0, maxLength: 3000 }),
)

test('every split of a stream is told the same, and every byte is shown or counted', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), splits, fc.boolean(), (parts, at, shown) => {
      const stream = Buffer.concat(parts)
      const whole = told([stream], shown)
      expect(told(pieces(stream, at), shown)).toEqual(whole)
      const elidedBytes = whole.elided.reduce((total, { byteLength }) => total + byteLength, 0)
      if (shown) {
        // A character stands for one byte at least, and a replaced one for three at most.
        expect(Array.from(whole.text).length).toBeLessThanOrEqual(stream.length - elidedBytes)
        expect(Buffer.byteLength(whole.text) * 3).toBeGreaterThanOrEqual(stream.length - elidedBytes)
      } else expect(elidedBytes).toBe(stream.length)
    }),
    { numRuns: 1500 },
  )
})

test('pauses anywhere lose nothing', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), splits, (parts, at) => {
      const stream = Buffer.concat(parts)
      const { text, elided } = told(pieces(stream, at).flatMap((piece) => [piece, null]))
      const elidedBytes = elided.reduce((total, { byteLength }) => total + byteLength, 0)
      expect(Array.from(text).length).toBeLessThanOrEqual(stream.length - elidedBytes)
      expect(Buffer.byteLength(text) * 3).toBeGreaterThanOrEqual(stream.length - elidedBytes)
    }),
    { numRuns: 500 },
  )
})
