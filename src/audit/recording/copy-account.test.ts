import { expect, test } from 'vitest'
import { CopyAccount, describeFile } from './copy-account.ts'
import type { CopiedFile } from './recording-manifest.ts'

const file = (path: string): CopiedFile => ({
  direction: 'upload',
  path,
  type: 'file',
  byteLength: 3,
  hash: 'sha256:0',
})

test('lists files in their order, up to a bound, and counts the others', () => {
  const account = new CopyAccount()
  for (let i = 0; i < 10_002; i += 1) account.copied(file(String(i)))
  expect([account.listed.length, account.listed[0]?.path, account.listed.at(-1)?.path]).toEqual([10_000, '0', '9999'])
  expect(account.dropped).toBe(2)
})

test('bounds what their paths take, and still lists shorter ones', () => {
  const account = new CopyAccount()
  for (let i = 0; i < 5; i += 1) account.copied(file('x'.repeat(1024 * 1024 - 1)))
  account.copied(file('y'))
  expect([account.listed.length, account.listed.at(-1)?.path, account.dropped]).toEqual([5, 'y', 1])
})

test('says in one line what a file was', () => {
  expect(describeFile(file('a/b'))).toBe('upload of file a/b: 3 bytes, sha256:0')
  expect(describeFile({ ...file('a'), type: 'directory', byteLength: 0, hash: '' })).toBe(
    'upload of directory a: 0 bytes',
  )
})
