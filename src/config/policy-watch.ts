import { DocumentError } from '../document/document.ts'
import { FileWatch } from '../document/file-watch.ts'
import type { PolicySet } from '../policy/policy-set.ts'
import { type PolicyFilePattern, listPolicyFiles, loadPolicyFiles, writtenAllTheTime } from './policy-files.ts'

export interface PolicyWatchOptions {
  readonly patterns: readonly PolicyFilePattern[]
  /** Told of what the files say now that they have changed; that may be what they said before, in other places. */
  readonly onChange: (policies: PolicySet) => void
  /** Told when the files as they are now cannot be used. The policies in force stay. */
  readonly onMistakes: (error: unknown) => void
  /** Told when the files can be used again, and say what is in force. */
  readonly onMended: () => void
}

/** Keeps the policies what the files say: loads them whole or not at all. */
export class PolicyWatch {
  readonly #options: PolicyWatchOptions
  #watch: FileWatch | null = null
  #failing = false

  private constructor(options: PolicyWatchOptions) {
    this.#options = options
  }

  /**
   * Loads the policies once and goes on looking. The caller stops the watch.
   *
   * @throws DocumentError when they cannot be used now.
   */
  static async start(
    options: PolicyWatchOptions,
  ): Promise<{ readonly watch: PolicyWatch; readonly policies: PolicySet }> {
    const watch = new PolicyWatch(options)
    watch.#watch = await FileWatch.start({
      paths: () => listPolicyFiles(options.patterns),
      onChange: (unchanged) => watch.#load(unchanged),
      onRestless: (paths) => {
        watch.#fail(new DocumentError(paths.map(writtenAllTheTime)))
      },
    })
    try {
      return { watch, policies: await loadPolicyFiles(options.patterns) }
    } catch (error) {
      await watch.stop()
      throw error
    }
  }

  /** Resolves when no look is under way any more. */
  async stop(): Promise<void> {
    await this.#watch?.stop()
  }

  async #load(unchanged: () => Promise<boolean>): Promise<boolean> {
    const { patterns, onChange, onMended } = this.#options
    try {
      const policies = await loadPolicyFiles(patterns)
      if (!(await unchanged())) return false
      onChange(policies)
      if (this.#failing) onMended()
      this.#failing = false
    } catch (error) {
      this.#fail(error)
    }
    return true
  }

  #fail(error: unknown): void {
    this.#failing = true
    this.#options.onMistakes(error)
  }
}
