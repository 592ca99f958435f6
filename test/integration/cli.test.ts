import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLaptop, type Laptop } from '../support/postern-command.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** Exit code and stderr. */
async function endOf(child: ChildProcess): Promise<[unknown, string]> {
  if (child.stderr === null) throw new TypeError('stderr is no pipe')
  const closed = once(child, 'close') as Promise<[number | null]>
  const [stderr, [exitCode]] = await Promise.all([text(child.stderr), closed])
  return [exitCode, stderr]
}

let laptop: Laptop
beforeAll(() => {
  laptop = createLaptop()
})
afterAll(() => {
  laptop.dispose()
})

test.for([
  [['--help'], 0],
  [['--version'], 0],
  [['version'], 0],
  [['client', 'kubeconfig', 'set', '--help'], 0],
  [['completion', 'bash'], 0],
] as const)('postern %j prints to stdout and ends with %i', async ([args, exitCode]) => {
  const result = await laptop.run(args)
  expect(result).toMatchObject({ exitCode, stderr: '' })
  expect(result.stdout).not.toBe('')
})

test.for([
  [['client', 'logn'], 64, "postern: unknown command 'logn' (Did you mean login?); --help tells more\n"],
  [['client', 'login'], 64, 'postern: name the portal with --portal or POSTERN_PORTAL\n'],
  [
    ['client', 'token', '--portal', 'ftp://x'],
    64,
    'postern: "ftp://x" is not a portal; write it as https://HOST or https://HOST:PORT\n',
  ],
  [['client', 'token', '--nonsense'], 64, "postern: unknown option '--nonsense'; --help tells more\n"],
  [
    ['client', 'sockets', '-o', 'yaml'],
    64,
    /^postern: option '-o, --output <FORMAT>' argument 'yaml' is invalid\. Allowed choices are text, json\.; --help tells more\n$/,
  ],
  [['completion', 'tcsh'], 64, /Allowed choices are bash, zsh, fish/],
  [
    ['client', 'sockets'],
    1,
    'postern: you are not signed in anywhere; run: postern client login --portal https://HOST\n',
  ],
  [['client', 'logout', '--portal', 'https://p'], 1, /^postern: you are not signed in to https:\/\/p; run: .*\n$/],
] as const)('postern %j ends with %i and one line', async ([args, exitCode, message]) => {
  const { stdout, stderr, ...result } = await laptop.run(args)
  expect([result.exitCode, stdout]).toEqual([exitCode, ''])
  if (typeof message === 'string') expect(stderr).toBe(message)
  else expect(stderr).toMatch(message)
  expect(stderr.split('\n')).toHaveLength(2)
})

test.for([[['--help']], [['client', '--help']], [['version', '-o', 'json']], [['completion', 'bash']]] as const)(
  'postern %j ends quietly when nobody reads what it prints',
  async ([args]) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    expect(await endOf(child)).toEqual([141, ''])
  },
)

test('postern says so when it cannot print', async () => {
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, [MAIN, 'version'], { stdio: ['ignore', full, 'pipe'] })
  closeSync(full)
  expect(await endOf(child)).toEqual([1, 'postern: cannot write to standard output: ENOSPC\n'])
})

test('a group without a command shows its commands, as a mistake', async () => {
  const { exitCode, stdout, stderr } = await laptop.run(['client'])
  expect([exitCode, stdout]).toEqual([64, ''])
  expect(stderr).toContain('kubeconfig')
})

test('what another side says cannot move the cursor', async () => {
  const { stderr } = await laptop.run(['client', 'token', '--portal', 'https://\u001b[2J\u202e'])
  expect(stderr).toMatch(/^postern: "https:\/\/\\x1b\[2J\\u202e" is not a portal/)
})

test('nothing is colored where no terminal is', async () => {
  const { stdout } = await laptop.run(['--help'])
  const { stderr } = await laptop.run(['client', 'sockets'])
  expect(stdout + stderr).not.toContain('\u001b')
})

test('an older Node.js is told which one is needed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-old-node-'))
  try {
    const source = readFileSync(new URL('../../src/cli/main.ts', import.meta.url), 'utf8')
    writeFileSync(join(directory, 'main.mjs'), stripTypeScriptTypes(source))
    writeFileSync(
      join(directory, 'old.mjs'),
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '24.18.0' } })\nawait import('./main.mjs')\n",
    )
    const { status, stderr } = spawnSync(process.execPath, [join(directory, 'old.mjs'), 'version'], {
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^postern: needs Node\.js 24\.18\.1 or later, this is /),
    ])
  } finally {
    rmSync(directory, { recursive: true })
  }
})
