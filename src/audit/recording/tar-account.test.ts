import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pieces, splits } from '../../../test/support/split-streams.ts'
import { TarAccount, type ArchiveEntry } from './tar-account.ts'

interface Account {
  readonly entries: readonly ArchiveEntry[]
  readonly damage: string
  readonly rest: Buffer
}

function accountOf(chunks: readonly Uint8Array[], firstByte = 0): Account {
  const entries: ArchiveEntry[] = []
  const account = new TarAccount((told) => entries.push(told), firstByte)
  const rests = chunks.map((chunk) => Buffer.from(account.push(chunk)))
  rests.push(Buffer.from(account.end()))
  return { entries, damage: account.damage, rest: Buffer.concat(rests) }
}

function sha256(content: string | Uint8Array): string {
  return 'sha256:' + createHash('sha256').update(content).digest('hex')
}

/** A header block of ustar, its checksum right. */
function header(name: string, size: string | Uint8Array, typeFlag = '0', magic = 'ustar\x0000'): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0, 100)
  block.write('0000644\0', 100)
  if (typeof size === 'string') block.write(size, 124)
  else block.set(size, 124)
  block.write('        ', 148)
  block.write(typeFlag, 156, 'latin1')
  block.write(magic, 257, 'latin1')
  let sum = 0
  for (const byte of block) sum += byte
  block.write(sum.toString(8).padStart(6, '0') + '\0 ', 148)
  return block
}

function octal(byteLength: number): string {
  return byteLength.toString(8).padStart(11, '0') + '\0'
}

function padded(content: string): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])
}

function entry(name: string, content: string, typeFlag = '0'): Buffer {
  return Buffer.concat([header(name, octal(Buffer.byteLength(content)), typeFlag), padded(content)])
}

function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`
  let length = Buffer.byteLength(body)
  while (String(length).length + Buffer.byteLength(body) > length) length++
  return String(length) + body
}

const END = Buffer.alloc(1024)

describe('what tar writes', () => {
  const longName = 'a'.repeat(60) + '/' + 'b'.repeat(90) + '/' + 'ü'.repeat(40) + '.txt'
  let directory = ''
  let big = Buffer.alloc(0)

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tar-account-'))
    big = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 256))
    writeFileSync(join(directory, 'empty'), '')
    writeFileSync(join(directory, 'big'), big)
    mkdirSync(join(directory, longName, '..'), { recursive: true })
    writeFileSync(join(directory, longName), 'hello\n')
    symlinkSync('big', join(directory, 'link'))
  })
  afterAll(() => {
    rmSync(directory, { recursive: true })
  })

  test.each(['gnu', 'ustar', 'pax', 'v7'])('in format %s is listed with sizes and hashes', (format) => {
    const members = ['empty', 'big', 'link', ...(format === 'ustar' || format === 'v7' ? [] : [longName])]
    const archive = execFileSync('tar', [`--format=${format}`, '-cf', '-', '-C', directory, ...members])
    const { entries, damage, rest } = accountOf([archive])
    expect(damage).toBe('')
    expect(rest).toHaveLength(0)
    expect(entries).toEqual([
      { path: 'empty', type: 'file', byteLength: 0, hash: sha256('') },
      { path: 'big', type: 'file', byteLength: big.length, hash: sha256(big) },
      { path: 'link', type: 'symlink', byteLength: 0, hash: '' },
      ...(members.length > 3 ? [{ path: longName, type: 'file', byteLength: 6, hash: sha256('hello\n') }] : []),
    ])
  })

  test('is listed the same however it is split', () => {
    const archive = execFileSync('tar', ['--format=pax', '-cf', '-', '-C', directory, '.'])
    const whole = accountOf([archive])
    expect(whole.entries.filter(({ type }) => type === 'directory')).toHaveLength(3)
    fc.assert(
      fc.property(splits, (at) => {
        expect(accountOf(pieces(archive, at))).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })

  test('from the middle of an archive on, as a retry of cp asks for it, is listed from its next header on', () => {
    const archive = execFileSync('tar', ['-cf', '-', '-C', directory, 'big', 'empty'])
    const { entries, damage } = accountOf([archive.subarray(5000)], 5000)
    expect(entries).toEqual([{ path: 'empty', type: 'file', byteLength: 0, hash: sha256('') }])
    expect(damage).toBe('')
  })
})

test('a ustar name has its prefix before it', () => {
  const block = header('file', octal(0))
  block.write('some/where', 345)
  let sum = 0
  for (let i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0)
  block.write(sum.toString(8).padStart(6, '0'), 148)
  expect(accountOf([block, END]).entries[0]?.path).toBe('some/where/file')
})

test('the size of a pax header, and one in base 256, count', () => {
  const base256 = Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5])
  const pax = entry('PaxHeader', paxRecord('size', '3') + paxRecord('path', 'renamed'), 'x')
  const archive = [header('large', base256), padded('12345'), pax, header('short', octal(0)), padded('abc'), END]
  expect(accountOf(archive)).toMatchObject({
    entries: [
      { path: 'large', byteLength: 5, hash: sha256('12345') },
      { path: 'renamed', byteLength: 3, hash: sha256('abc') },
    ],
    damage: '',
  })
})

test('a file that is cut off has no hash and the bytes that came', () => {
  const { entries, damage } = accountOf([header('file', octal(1000)), Buffer.alloc(300, 'x')])
  expect(entries).toEqual([{ path: 'file', type: 'file', byteLength: 300, hash: '' }])
  expect(damage).toBe('The archive was cut off.')
})

test('what follows the end of an archive is given back', () => {
  const hidden = Buffer.from('not listed')
  expect(accountOf([entry('a', '1'), END, hidden])).toMatchObject({
    entries: [{ path: 'a' }],
    damage: 'Bytes follow the end of the archive.',
    rest: hidden,
  })
  expect(accountOf([entry('a', '1'), END, entry('b', '2')]).rest).toEqual(entry('b', '2'))
})

test.each([
  ['a damaged header', [Buffer.alloc(512, 'x')], 'A header of the archive is damaged.'],
  ['a negative size', [header('a', Buffer.alloc(12, 0xff))], 'A header of the archive is damaged.'],
  [
    'a size beyond what a number holds',
    [header('a', Buffer.from([0x80, ...Array<number>(11).fill(0xff)]))],
    'A header of the archive is damaged.',
  ],
  ['a directory with content', [header('a/', octal(512), '5')], 'An entry of the archive that is no file has content.'],
  ['a sparse file', [header('a', octal(0), 'S')], 'A sparse file in the archive is not read.'],
  [
    'a sparse file of pax',
    [entry('x', paxRecord('GNU.sparse.major', '1'), 'x')],
    'A sparse file in the archive is not read.',
  ],
  ['a name of a gigabyte', [header('a', octal(1e9), 'L')], 'A name or extended header of the archive is too long.'],
  [
    'an extended header that is none',
    [entry('x', 'path=a\n', 'x')],
    'An extended header of the archive cannot be read.',
  ],
  ['a global path', [entry('x', paxRecord('path', 'b'), 'g')], 'A global header of the archive names all its entries.'],
])('%s ends the account', (_, doubtful, damage) => {
  const account = accountOf([entry('first', 'content'), ...doubtful, Buffer.alloc(2000, 'y')])
  expect(account.entries.map(({ path }) => path)).toEqual(['first'])
  expect(account.damage).toBe(damage)
  expect(account.rest.toString()).toContain('y'.repeat(2000))
})

test('a mutated archive never makes it throw, lose bytes, or keep more than it may', () => {
  const archive = Buffer.concat([
    entry('one', 'x'.repeat(700)),
    entry('././@LongLink', 'n'.repeat(200), 'L'),
    entry('short', 'y'),
    entry('PaxHeader', paxRecord('path', 'z'.repeat(120)), 'x'),
    entry('two', ''),
    END,
  ])
  const mutation = fc.tuple(fc.nat(archive.length - 1), fc.nat(255))
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 8 }), splits, (mutations, at) => {
      const mutated = Buffer.from(archive)
      for (const [i, byte] of mutations) mutated[i] = byte
      const { entries, damage, rest } = accountOf(pieces(mutated, at))
      expect(accountOf([mutated])).toEqual({ entries, damage, rest })
      expect(rest.length === 0 || mutated.subarray(-rest.length).equals(rest)).toBe(true)
      for (const { path } of entries) expect(path.length).toBeLessThanOrEqual(4097)
    }),
    { numRuns: 3000 },
  )
})
