import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LoadFigures } from './load-figures.ts'
import type { LoadOptions } from './load-generator.ts'

const PROGRAM = fileURLToPath(new URL('./load-program.ts', import.meta.url))

/** What a load's process is asked, and what it says. */
export type LoadQuestion = 'figures' | 'stop'
export interface LoadAnswer {
  readonly kind: 'steady' | 'figures' | 'stopped'
  readonly figures: LoadFigures
}

/** A load in a process of its own, so that neither its rate nor its latencies are those of whoever measures. */
export interface SteadyLoad {
  readonly pid: number
  /** Resolves once every watch and every session is open, and requests are being sent. */
  readonly steady: Promise<void>
  /** So far. */
  figures(): Promise<LoadFigures>
  /** Ends it; resolves when what was under way is over and the process gone. May be called again. */
  stop(): Promise<LoadFigures>
}

/** Starts a {@link LoadGenerator}. The caller stops it. */
export function startLoad(options: LoadOptions): SteadyLoad {
  const child = fork(PROGRAM, [JSON.stringify(options)], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = new Promise<never>((_, reject) => {
    child.once('exit', (code, signal) => {
      reject(new Error(`the load ended with ${code ?? signal ?? ''}`))
    })
  })
  exited.catch(() => undefined)
  const answered = (kind: LoadAnswer['kind']): Promise<LoadFigures> => {
    const told = new Promise<LoadFigures>((resolve) => {
      const listen = (answer: LoadAnswer): void => {
        if (answer.kind !== kind) return
        child.off('message', listen)
        resolve(answer.figures)
      }
      child.on('message', listen)
    })
    return Promise.race([told, exited])
  }
  const ask = (question: LoadQuestion): void => {
    // When the process is gone, that is told by its exit.
    child.send(question, () => undefined)
  }
  let stopped: Promise<LoadFigures> | null = null
  const stop = async (): Promise<LoadFigures> => {
    const last = answered('stopped')
    ask('stop')
    const figures = await last
    child.disconnect()
    await exited.catch(() => undefined)
    return figures
  }
  const steady = answered('steady').then(() => undefined)
  steady.catch(() => undefined)
  return {
    pid: child.pid ?? 0,
    steady,
    async figures() {
      const next = answered('figures')
      ask('figures')
      return next
    },
    stop: () => (stopped ??= stop()),
  }
}
