import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Kubectl } from './kubectl.ts'
import { RunningProgram } from './running-program.ts'

const execute = promisify(execFile)

export interface TerminalSize {
  readonly rows: number
  readonly columns: number
}

/** A kubectl that runs in a terminal of its own, which `script` and `stty` of the machine provide. */
export class Terminal implements AsyncDisposable {
  readonly program: RunningProgram
  #device = ''

  private constructor(program: RunningProgram) {
    this.program = program
  }

  static async open(
    kubectl: Kubectl,
    argv: readonly string[],
    { rows, columns, env }: TerminalSize & { readonly env: Readonly<Record<string, string>> },
  ): Promise<Terminal> {
    const command = [...kubectl.command, ...argv].map((word) => `'${word}'`).join(' ')
    const inside = `tty; stty rows ${rows} cols ${columns}; exec ${command}`
    const script = ['-qec', inside, '/dev/null']
    const program = new RunningProgram('script', script, { ...kubectl.env, ...env, TERM: 'xterm', SHELL: '/bin/sh' })
    const terminal = new Terminal(program)
    const [device] = await terminal.program.says(/\/dev\/\S+/)
    terminal.#device = device
    return terminal
  }

  /** As a person does who pulls at the corner of the window. */
  async resize({ rows, columns }: TerminalSize): Promise<void> {
    await execute('stty', ['-F', this.#device, 'rows', String(rows), 'cols', String(columns)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]()
  }
}
