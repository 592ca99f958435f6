import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { FixedToken } from './credential.ts'
import { MAX_TOKEN_BYTES, TokenFile } from './token-file.ts'

const directory = mkdtempSync(join(tmpdir(), 'postern-token-'))
const path = join(directory, 'token')
const NEVER_MS = 3_600_000

beforeEach(() => {
  writeFileSync(path, 'first\n')
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

async function open(refreshMs = NEVER_MS): Promise<TokenFile> {
  const file = await TokenFile.open(path, refreshMs)
  onTestFinished(() => {
    file.close()
  })
  return file
}

describe('a token file', () => {
  test('is read when it is opened, without the white space around the token', async () => {
    expect((await open()).authorization()).toBe('Bearer first')
  })

  test('is read again every so often', async () => {
    const file = await open(5)
    writeFileSync(path, 'second')
    await expect.poll(() => file.authorization()).toBe('Bearer second')
  })

  test('is read again at once when the token was rejected', async () => {
    const file = await open()
    writeFileSync(path, 'second')
    file.rejected()
    await expect.poll(() => file.authorization()).toBe('Bearer second')
  })

  test('may be a symbolic link that is turned, as the kubelet does', async () => {
    const link = join(directory, 'link')
    writeFileSync(join(directory, 'next'), 'second')
    symlinkSync('token', link)
    const file = await TokenFile.open(link, 5)
    onTestFinished(() => {
      file.close()
    })
    symlinkSync('next', `${link}.new`)
    renameSync(`${link}.new`, link)
    await expect.poll(() => file.authorization()).toBe('Bearer second')
  })

  test.each([
    [
      'gone',
      () => {
        unlinkSync(path)
      },
      `cannot read ${path}: no such file`,
    ],
    [
      'empty',
      () => {
        writeFileSync(path, '')
      },
      `the token file ${path} is empty`,
    ],
    [
      'garbled',
      () => {
        writeFileSync(path, 'a\nb: c')
      },
      `the token file ${path} holds characters that no token has`,
    ],
    [
      'huge',
      () => {
        writeFileSync(path, 'x'.repeat(MAX_TOKEN_BYTES + 1))
      },
      `cannot read ${path}: it is longer than ${MAX_TOKEN_BYTES} bytes`,
    ],
  ])('that is %s leaves the last token in force and says why, until it is well again', async (_how, harm, problem) => {
    const file = await open(5)
    harm()
    await expect.poll(() => file.problem).toBe(problem)
    expect(file.authorization()).toBe('Bearer first')
    writeFileSync(path, 'second')
    await expect.poll(() => file.problem).toBe('')
    expect(file.authorization()).toBe('Bearer second')
  })
})

test('a token does not show when its credential is printed', () => {
  const token = new FixedToken('hush')
  expect(JSON.stringify(token)).not.toContain('hush')
  expect(Object.values(token).join()).not.toContain('hush')
})
