import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Usage } from './usage.ts'

const USAGE = new URL('usage.ts', import.meta.url).href

/** A program that tells what it uses. */
export interface MeasuredProcess {
  readonly child: ChildProcess
  usage(): Promise<Usage>
  /** The same behind a garbage collection, for programs that are started with `--expose-gc`. */
  settledUsage(): Promise<Usage>
  stop(): Promise<void>
}

/** Starts the program at the URL. The caller stops it. */
export function startMeasured(
  url: string,
  args: readonly string[] = [],
  flags: readonly string[] = [],
): MeasuredProcess {
  const child = fork(fileURLToPath(url), args, {
    execArgv: [...flags, '--import', USAGE],
    stdio: ['ignore', process.env['BENCH_OUT'] ? 'inherit' : 'ignore', 'pipe', 'ipc'],
  })
  const ask = async (question: 'usage' | 'settle'): Promise<Usage> => {
    child.send(question)
    return ((await once(child, 'message')) as [Usage])[0]
  }
  return {
    child,
    usage: () => ask('usage'),
    settledUsage: () => ask('settle'),
    async stop() {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      await closed
    },
  }
}
