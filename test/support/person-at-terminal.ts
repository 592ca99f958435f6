import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Laptop } from './postern-command.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** Of util-linux; not an argument in place, so that it is not taken for a package's. */
const TERMINAL = 'script'

/**
 * Runs `postern` in a terminal of its own, which `script` of the machine provides, and types a line for each question.
 * Resolves to all that the terminal showed, and the exit code.
 *
 * @param answers what to type when a pattern shows, in this order
 */
export async function runAtTerminal(
  laptop: Laptop,
  args: readonly string[],
  answers: readonly (readonly [question: RegExp, answer: string])[],
): Promise<{ readonly exitCode: number | null; readonly shown: string }> {
  const command = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn(TERMINAL, ['-qec', command, '/dev/null'], {
    env: {
      HOME: laptop.home,
      XDG_CACHE_HOME: `${laptop.home}/cache`,
      PATH: process.env['PATH'],
      TERM: 'dumb',
      SHELL: '/bin/sh',
      NO_COLOR: '1',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const waiting = [...answers]
  let shown = ''
  let answered = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    const [next] = waiting
    if (next === undefined || !next[0].test(shown.slice(answered))) return
    waiting.shift()
    answered = shown.length
    child.stdin.write(`${next[1]}\n`)
  })
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { exitCode, shown: shown.replaceAll('\r', '') }
}
