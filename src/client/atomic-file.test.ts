import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { replaceFile, reserveFile } from './atomic-file.ts'

let directory: string
let path: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-atomic-file-'))
  path = join(directory, 'file')
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('a file is replaced as a whole, in the mode that is asked for', () => {
  writeFileSync(path, 'a longer text than the next', { mode: 0o644 })
  replaceFile(path, 'short', 0o600)
  expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['short', 0o600])
  expect(readdirSync(directory)).toEqual(['file'])
})

test('room for a file is taken from the disk before its text is known, and the file holds no more than the text', () => {
  writeFileSync(path, 'old')
  const reserved = reserveFile(path, 50_000, 0o600)
  const [name = ''] = readdirSync(directory).filter((file) => file !== 'file')
  expect(statSync(join(directory, name)).blocks * 512).toBeGreaterThanOrEqual(50_000)
  expect(readFileSync(path, 'utf8')).toBe('old')
  reserved.replace('new')
  expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['new', 0o600])
  expect(readdirSync(directory)).toEqual(['file'])
})

test('room may be too small, and be given back', () => {
  reserveFile(path, 1, 0o600).replace('x'.repeat(10_000))
  expect(readFileSync(path, 'utf8')).toHaveLength(10_000)
  reserveFile(path, 10, 0o600).discard()
  expect(readdirSync(directory)).toEqual(['file'])
})

test('room that a process left behind is taken again', () => {
  const left = reserveFile(path, 10, 0o600)
  const names = readdirSync(directory)
  const again = reserveFile(path, 10, 0o600)
  expect(readdirSync(directory)).toEqual(names)
  again.replace('text')
  left.discard()
  expect(readFileSync(path, 'utf8')).toBe('text')
})

test('what cannot be put in its place leaves nothing behind', () => {
  mkdirSync(path)
  expect(() => {
    reserveFile(path, 10, 0o600).replace('text')
  }).toThrow(expect.objectContaining({ code: 'EISDIR' }))
  expect(readdirSync(directory)).toEqual(['file'])
})
