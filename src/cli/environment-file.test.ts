import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { parseEnvironmentFile, readEnvironmentFile } from './environment-file.ts'

it.each<[string, string, Record<string, string>]>([
  ['assignments, a line each', 'A=1\n B = 2 \nC=\nD=a=b', { A: '1', B: '2', C: '', D: 'a=b' }],
  ['the last of a name', 'A=1\nA=2\n', { A: '2' }],
  ['no comments', '# A=1\n; B=2\n#\\\nC=3 # 4\n', { C: '3 # 4' }],
  ['no variables of the file itself', 'A=1\nB=$A ${A}\n', { A: '1', B: '$A ${A}' }],
  ['quotes around a value, over lines too', `A="a b" \nB='x\ny'\nC="-\n-"z\n`, { A: 'a b', B: 'x\ny', C: '-\n-z' }],
  ['quotes within a value as they are', `A=it's "so"\n`, { A: `it's "so"` }],
  [
    'backslashes',
    'A=a\\ b\\ \nB="q\\"\\$\\n"\nC=\'\\a\'\nD=one\\\ntwo\n',
    { A: 'a b ', B: 'q"$\\n', C: '\\a', D: 'onetwo' },
  ],
  ['what goes on at the end of the file', 'A="open', { A: 'open' }],
  ['no lines without a name', 'export A=1\n=2\nword\n2B=3\nC=4\r\n', { C: '4' }],
])('systemd reads %s', (_what, text, variables) => {
  expect(parseEnvironmentFile(text)).toEqual(variables)
})

it('is read only when nobody but its owner can', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-environment-'))
  onTestFinished(() => {
    rmSync(directory, { recursive: true })
  })
  const path = join(directory, 'environment')
  expect(await readEnvironmentFile(path)).toEqual({})
  writeFileSync(path, 'TOKEN=hunter2\n', { mode: 0o600 })
  expect(await readEnvironmentFile(path)).toEqual({ TOKEN: 'hunter2' })
  chmodSync(path, 0o640)
  await expect(readEnvironmentFile(path)).rejects.toThrow(`run: chmod 0600 ${path}`)
})
