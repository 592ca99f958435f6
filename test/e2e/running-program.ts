import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

const pollMs = 20

/** A program that runs on until it ends by itself or is stopped, with what it said so far. */
export class RunningProgram implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<number>
  #stdout = ''
  #stderr = ''
  #ended = false

  constructor(path: string, argv: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(path, argv, { env: { ...process.env, ...env } })
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.#child.stdin.on('error', () => undefined)
    this.#closed = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code) => {
        this.#ended = true
        resolve(code ?? -1)
      })
    })
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  write(text: string): void {
    this.#child.stdin.write(text)
  }

  closeInput(): void {
    this.#child.stdin.end()
  }

  /** The match, once standard output or standard error has one; rejects with both when it ends first, or after 20 s. */
  async says(pattern: RegExp, from: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    const deadline = performance.now() + 20_000
    for (;;) {
      const over = this.#ended || performance.now() > deadline
      const match = pattern.exec(from === 'stdout' ? this.#stdout : this.#stderr)
      if (match !== null) return match
      if (over) throw new Error(`${String(pattern)} was not said: ${this.#stdout}${this.#stderr}`)
      await sleep(pollMs)
    }
  }

  /** The exit code, once it has ended by itself; -1 for a signal. */
  get exitCode(): Promise<number> {
    return this.#closed
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.#child.kill(signal)
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL')
  }
}
