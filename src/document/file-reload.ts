import { FileWatch, type FileWatchOptions } from './file-watch.ts'

export interface FileReloadOptions extends Pick<FileWatchOptions, 'paths'> {
  /**
   * Reads the files and puts what they hold in force; once at a time. Throws an Error when it cannot be used, whose message
   * may stand in a log; what was in force stays then. Changes nothing when the files hold what is in force.
   */
  readonly apply: () => Promise<void>
  /** Told of a problem that is new. */
  readonly onRefused: (problem: string) => void
  /** Told when there is none any more. */
  readonly onMended: () => void
}

/**
 * Keeps something in force that files say, as they change. Files that belong together are often written one after the
 * other, so that a problem counts only when the next look meets it too; it is tried again at each look.
 */
export class FileReload {
  readonly #options: FileReloadOptions
  #watch: FileWatch | null = null
  #suspected = ''
  #problem = ''

  private constructor(options: FileReloadOptions) {
    this.#options = options
  }

  /** Goes on until {@link stop}. The first look applies in any case, so that nothing is missed that changed just before. */
  static async start(options: FileReloadOptions): Promise<FileReload> {
    const reload = new FileReload(options)
    const { paths } = options
    reload.#watch = await FileWatch.start({
      paths,
      onChange: () => reload.#apply(),
      onRestless: (restless) => {
        reload.#refuse(`${restless.join(' and ')} is being written all the time, so it is not read`)
      },
      tellsAtOnce: true,
    })
    return reload
  }

  /** Why what the files hold is not in force; empty while it is. */
  get problem(): string {
    return this.#problem
  }

  /** Resolves when nothing is read any more. */
  async stop(): Promise<void> {
    await this.#watch?.stop()
  }

  async #apply(): Promise<boolean> {
    try {
      await this.#options.apply()
    } catch (error) {
      this.#suspect(error instanceof Error ? error.message : String(error))
      return false
    }
    const mended = this.#problem !== ''
    this.#suspected = ''
    this.#problem = ''
    if (mended) this.#options.onMended()
    return true
  }

  #suspect(problem: string): void {
    const persists = problem === this.#suspected
    this.#suspected = problem
    if (persists && problem !== this.#problem) this.#refuse(problem)
  }

  #refuse(problem: string): void {
    this.#problem = problem
    this.#options.onRefused(problem)
  }
}
