import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTextFile } from './text-file.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-text-file-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function written(name: string, content: string | Buffer): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

test('text comes back whole, without a byte order mark', async () => {
  expect(await readTextFile(await written('a', '\ufeffä\n'), 6)).toBe('ä\n')
  expect(await readTextFile(await written('empty', ''), 6)).toBe('')
  await symlink(join(directory, 'a'), join(directory, 'link'))
  expect(await readTextFile(join(directory, 'link'), 6)).toBe('ä\n')
  expect(await readTextFile('/proc/self/comm', 64)).not.toBe('')
})

test('what cannot be read says why in a phrase', async () => {
  await expect(readTextFile(join(directory, 'none'), 10)).rejects.toThrow(/^no such file$/)
  await expect(readTextFile(join(directory, 'a', 'b'), 10)).rejects.toThrow(/^no such file$/)
  await expect(readTextFile(directory, 1 << 20)).rejects.toThrow(/^it is a directory$/)
  await expect(readTextFile(await written('long', 'x'.repeat(11)), 10)).rejects.toThrow(/^it is longer than 10 bytes$/)
  await expect(readTextFile('/dev/zero', 10)).rejects.toThrow(/^it is longer than 10 bytes$/)
  await expect(readTextFile(await written('bytes', Buffer.of(0xff, 0xfe)), 10)).rejects.toThrow(
    /^it is not UTF-8 text$/,
  )
})

test.skipIf(process.getuid?.() === 0)('a file of somebody else is named as such', async () => {
  const path = await written('closed', 'x')
  await chmod(path, 0)
  await expect(readTextFile(path, 10)).rejects.toThrow(/^permission denied$/)
})
