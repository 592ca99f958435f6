import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ownCommand } from './plugin-command.ts'

let directory: string
let script: string
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'postern-command-')))
  script = join(directory, 'main.js')
  writeFileSync(script, '')
  for (const name of ['bin', 'other']) mkdirSync(join(directory, name))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const path = (...names: string[]): NodeJS.ProcessEnv => ({ PATH: names.map((name) => join(directory, name)).join(':') })

test('it is called by its name when a shell would find it under the name', () => {
  symlinkSync(script, join(directory, 'bin', 'postern'))
  expect(ownCommand(script, path('missing', 'bin'))).toEqual(['postern'])
  expect(ownCommand(join(directory, 'bin', 'postern'), path('bin'))).toEqual(['postern'])
})

test('it is called by its paths when the name means another program, or none', () => {
  symlinkSync(script, join(directory, 'bin', 'postern'))
  writeFileSync(join(directory, 'other', 'postern'), '')
  expect(ownCommand(script, path('other', 'bin'))).toEqual([process.execPath, script])
  expect(ownCommand(script, path('other'))).toEqual([process.execPath, script])
  expect(ownCommand(script, {})).toEqual([process.execPath, script])
})
