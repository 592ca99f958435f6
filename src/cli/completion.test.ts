import { execFileSync, spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { placesOf } from './command-words.ts'
import { renderCompletion } from './completion.ts'
import { createProgram } from './program.ts'

const program = createProgram(() => () => Promise.resolve())
const script = renderCompletion(program, 'bash')

/** What bash offers for the last of these words. */
function complete(...words: string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(' ')
  const ask = `${script}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _postern; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['--norc', '-c', ask], { encoding: 'utf8' })
    .split('\n')
    .filter((word) => word !== '')
}

describe('bash', () => {
  test.for([
    [
      ['postern', ''],
      [
        'client',
        'logins',
        'sessions',
        'connector',
        'eks',
        'policy',
        'recordings',
        'completion',
        'version',
        '-V',
        '--version',
        '-h',
        '--help',
      ],
    ],
    [['postern', 'cl'], ['client']],
    [
      ['postern', 'client', 'log'],
      ['login', 'logout'],
    ],
    [
      ['postern', 'client', 'kubeconfig', ''],
      ['set', 'unset', '-h', '--help'],
    ],
    [
      ['postern', 'client', 'kubeconfig', 'set', '--c'],
      ['--cache-directory', '--context-name'],
    ],
    [
      ['postern', 'client', 'sockets', '-o', ''],
      ['text', 'json'],
    ],
    [['postern', 'client', 'sockets', '--portal', 'https', ':', '//x', '--o'], ['--output']],
    [['postern', 'client', 'login', '--portal', ''], []],
    [
      ['postern', 'completion', ''],
      ['bash', 'zsh', 'fish', '-h', '--help'],
    ],
    [
      ['postern', 'client', 'nonsense', 'log'],
      ['login', 'logout'],
    ],
  ] as const)('completes %j', ([words, offers]) => {
    expect(complete(...words)).toEqual(offers)
  })

  test('completes files and directories where a flag takes one', () => {
    expect(complete('postern', 'connector', 'check', '--config', 'package.js')).toEqual(['package.json'])
    expect(complete('postern', 'client', 'sockets', '--cache-directory', 'workshop')).toEqual(['workshop'])
    expect(complete('postern', 'client', 'sockets', '--cache-directory', 'package.js')).toEqual([])
  })
})

const installed = (
  [
    ['bash', '-n'],
    ['zsh', '-n'],
    ['fish', '--no-execute'],
  ] as const
).filter(([shell]) => spawnSync(shell, ['--version'], { stdio: 'ignore' }).status === 0)

test.for(installed)('%s can read its script', ([shell, dryRun]) => {
  const { status, stderr } = spawnSync(shell, [dryRun], { input: renderCompletion(program, shell), encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
})

test.for(['bash', 'zsh', 'fish'] as const)('the script for %s has every command and every flag', (shell) => {
  const text = renderCompletion(program, shell)
  for (const { path, words, flags } of placesOf(program)) {
    expect(text).toContain(`'${path}'`)
    for (const { word } of words) expect(text).toContain(word)
    for (const { names } of flags)
      expect(text).toContain(shell === 'fish' ? (names.at(-1) ?? '').slice(2) : names.at(-1))
  }
})
