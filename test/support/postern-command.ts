import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Sources run as they are, so every process would strip their types anew. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/node-compile', import.meta.url))

/** How a command ended. */
export interface CommandResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that is still running. */
interface RunningCommand {
  readonly process: ReturnType<typeof spawn>
  readonly result: Promise<CommandResult>
  /** Resolves to the first line of stderr that matches; rejects when the command ends without one. */
  readonly line: (pattern: RegExp) => Promise<RegExpExecArray>
}

/** A person's machine as far as `postern` sees it: a home of its own and nothing of this process's environment. */
export interface Laptop {
  readonly home: string
  /** Where logins are kept. */
  readonly cacheDirectory: string
  readonly kubeconfig: string
  /** Runs `postern` with these arguments to its end. */
  run(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<CommandResult>
  start(args: readonly string[], env?: NodeJS.ProcessEnv): RunningCommand
  /** Ends what still runs and removes the home. */
  dispose(): void
}

export function createLaptop(): Laptop {
  const home = mkdtempSync(join(tmpdir(), 'postern-laptop-'))
  const kubeconfig = join(home, '.kube', 'config')
  const running = new Set<RunningCommand['process']>()
  const start: Laptop['start'] = (args, env = {}) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: {
        HOME: home,
        XDG_CACHE_HOME: join(home, 'cache'),
        PATH: join(home, 'bin'),
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    const ended = Promise.all([text(child.stdout), once(child, 'close') as Promise<[number | null]>])
    const result = ended.then(([stdout, [exitCode]]) => {
      running.delete(child)
      return { exitCode, stdout, stderr }
    })
    const line = (pattern: RegExp): Promise<RegExpExecArray> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(stderr)
          if (found !== null) resolve(found)
        }
        child.stderr.on('data', look)
        child.once('close', () => {
          look()
          reject(new Error(`no line ${String(pattern)} in: ${stderr}`))
        })
        look()
      })
    return { process: child, result, line }
  }
  return {
    home,
    cacheDirectory: join(home, 'cache', 'postern'),
    kubeconfig,
    start,
    run: (args, env) => start(args, env).result,
    dispose: () => {
      for (const child of running) child.kill('SIGKILL')
      rmSync(home, { recursive: true, force: true })
    },
  }
}
