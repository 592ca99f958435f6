import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Secret } from '../document/secret.ts'
import { ClientSecret } from './client-secret.ts'

let directory: string
let file: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-client-secret-'))
  file = join(directory, 'secret')
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

test('a secret that was given is that', async () => {
  expect(await new ClientSecret({ value: new Secret('given') }).current()).toBe('given')
})

test('a file is read at each use, without the white space around it', async () => {
  writeFileSync(file, ' first\n')
  const secret = new ClientSecret({ file })
  expect(await secret.current()).toBe('first')
  writeFileSync(file, 'second')
  expect(await secret.current()).toBe('second')
})

test('while the file is gone or empty the last secret counts', async () => {
  writeFileSync(file, 'first')
  const secret = new ClientSecret({ file })
  await secret.current()
  writeFileSync(file, '\n')
  expect(await secret.current()).toBe('first')
  rmSync(file)
  expect(await secret.current()).toBe('first')
})

test('without one there is an error that names the file', async () => {
  const secret = new ClientSecret({ file })
  await expect(secret.current()).rejects.toThrow(`cannot read the client secret in ${file}: no such file`)
  writeFileSync(file, '')
  await expect(secret.current()).rejects.toThrow(`cannot read the client secret in ${file}: it is empty`)
  writeFileSync(file, 'late')
  expect(await secret.current()).toBe('late')
})
