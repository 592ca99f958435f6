import { type Context, createContext, Script } from 'node:vm'

/** Longest that the expressions for one token may take together, in milliseconds. Ordinary ones take less than one. */
export const MAX_EXPRESSION_MS = 250

/** Expressions were cut off. */
export class ExpressionTimeout extends Error {
  override readonly name = 'ExpressionTimeout'
}

/**
 * Cuts off expressions that take too long: lists in claims, walked within one another, make short expressions costly.
 * V8 takes a deadline for a script only; the context it runs in keeps nothing apart and is not meant to.
 */
export class ExpressionTimer {
  readonly #timeoutMs: number
  readonly #script = new Script('run()')
  readonly #surroundings: { run: () => unknown } = { run: () => undefined }
  readonly #context: Context = createContext(this.#surroundings)

  constructor(timeoutMs = MAX_EXPRESSION_MS) {
    this.#timeoutMs = timeoutMs
  }

  /**
   * Calls `run`, which may be cut off anywhere: it should leave nothing behind.
   *
   * @throws ExpressionTimeout; whatever `run` throws.
   */
  run<Result>(run: () => Result): Result {
    const outcome: { result?: Result } = {}
    this.#surroundings.run = () => {
      outcome.result = run()
    }
    try {
      this.#script.runInContext(this.#context, { timeout: this.#timeoutMs })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
      throw new ExpressionTimeout(`expressions took longer than ${this.#timeoutMs} ms`, { cause: error })
    }
    return outcome.result as Result
  }
}
