import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'

const run = promisify(execFile)
const program = (name: string): string => fileURLToPath(new URL(`../support/${name}.ts`, import.meta.url))

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-full-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

/** What a shell command says, as JSON. `$0` in it is Node, `$1` the program, `$2` the directory. */
async function outcome(command: string, name: string, ...wrapper: string[]): Promise<unknown> {
  const argv = [...wrapper, 'sh', '-c', command, process.execPath, program(name), directory]
  const { stdout } = await run(argv[0] ?? '', argv.slice(1))
  return JSON.parse(stdout)
}

it('ends the sessions that a full disk cannot keep, with the reason, and harms no other', async () => {
  // A disk of its own, in a namespace of its own, which goes with the process.
  const command = 'mount -t tmpfs -o size=4m tmpfs "$2" && exec "$0" "$1" "$2"'
  expect(await outcome(command, 'recording-full-disk', 'unshare', '--map-root-user', '--mount')).toEqual({
    problems: [`recordings cannot be kept in ${directory}/kept`],
    failures: {
      quiet: [],
      loud: ['the recording cannot be kept: the disk is full'],
      louder: ['the recording cannot be kept: the disk is full'],
      refused: [],
      later: [],
    },
    interrupted: ['loud', 'louder'],
    writableWhenFull: false,
    refused: 'Error: recordings cannot be kept at present',
    finishOfLoud: 'Error: the recording cannot be kept: the disk is full',
    verdicts: { quiet: 'intact', loud: 'incomplete', louder: 'incomplete', later: 'intact' },
    leaked: 0,
  })
})

it('ends a session whose recording outgrows what a file may be, and no other', async () => {
  expect(await outcome('ulimit -f 4096; exec "$0" "$1" "$2"', 'recording-file-limit')).toEqual({
    failures: ['the recording cannot be kept: the file is larger than may be'],
    drained: true,
    verdicts: { large: 'incomplete', small: 'intact' },
  })
})
