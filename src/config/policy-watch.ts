import { stat } from 'node:fs/promises'
import type { PolicySet } from '../policy/policy-set.ts'
import { type PolicyFilePattern, listPolicyFiles, loadPolicyFiles } from './policy-files.ts'

/** How often the files are looked at, in milliseconds. */
const LOOK_EVERY_MS = 500

export interface PolicyWatchOptions {
  readonly patterns: readonly PolicyFilePattern[]
  /** Told of what the files say now that they have changed; that may be what they said before, in other places. */
  readonly onChange: (policies: PolicySet) => void
  /** Told when the files as they are now cannot be used. The policies in force stay. */
  readonly onMistakes: (error: unknown) => void
  /** Told when the files can be used again, and say what is in force. */
  readonly onMended: () => void
}

/**
 * Keeps the policies what the files say: looks at them again and again, and loads them whole or not at all.
 *
 * It looks rather than listens, since what a file system tells of renames, mounts and swapped symbolic links (as
 * Kubernetes updates a ConfigMap volume) differs from one to the next.
 */
export class PolicyWatch {
  readonly #options: PolicyWatchOptions
  #signature: string
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  #failing = false

  private constructor(options: PolicyWatchOptions, signature: string) {
    this.#options = options
    this.#signature = signature
  }

  /**
   * Loads the policies once and goes on looking. The caller stops it.
   *
   * @throws DocumentError when they cannot be used now.
   */
  static async start(
    options: PolicyWatchOptions,
  ): Promise<{ readonly watch: PolicyWatch; readonly policies: PolicySet }> {
    // Taken first: what changes while the files are read is seen at the first look.
    const signature = await signatureOf(options.patterns)
    const policies = await loadPolicyFiles(options.patterns)
    const watch = new PolicyWatch(options, signature)
    watch.#schedule()
    return { watch, policies }
  }

  /** Resolves when no look is under way any more. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#looking
  }

  #schedule(): void {
    let busy = false
    this.#timer = setInterval(() => {
      if (busy) return
      busy = true
      this.#looking = this.#look().finally(() => {
        busy = false
      })
    }, LOOK_EVERY_MS)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    const { patterns, onChange, onMistakes, onMended } = this.#options
    const signature = await signatureOf(patterns)
    if (signature === this.#signature) return
    this.#signature = signature
    try {
      onChange(await loadPolicyFiles(patterns))
      if (this.#failing) onMended()
      this.#failing = false
    } catch (error) {
      this.#failing = true
      onMistakes(error)
    }
  }
}

/** What tells one state of the files from another: paths, and of what they lead to the inode, size and time of change. */
async function signatureOf(patterns: readonly PolicyFilePattern[]): Promise<string> {
  const paths = await listPolicyFiles(patterns)
  const states = await Promise.all(
    paths.map(async (path) => {
      try {
        const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
        return `${path} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
      } catch {
        return `${path} unreadable`
      }
    }),
  )
  return states.join('\n')
}
