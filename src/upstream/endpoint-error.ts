/** Why an API server cannot be used as configured: everything that is wrong, a sentence without line break each. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** Gathers what is wrong, so that all of it is said at once. */
export class Problems {
  readonly #source: string
  readonly #sentences: string[] = []

  /** `source` begins every sentence, such as `kubeconfig /etc/postern/kubeconfig`. */
  constructor(source: string) {
    this.#source = source
  }

  add(problem: string): void {
    this.#sentences.push(`${this.#source}: ${problem.replaceAll(/\s*[\r\n]+\s*/g, ' ')}`)
  }

  /** What `read` returns; undefined when it throws, which is then added. */
  async attempt<T>(read: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      this.add(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  get any(): boolean {
    return this.#sentences.length > 0
  }

  toError(): EndpointError {
    return new EndpointError(this.#sentences)
  }
}
