import { stat } from 'node:fs/promises'

/** How often the files are looked at, in milliseconds. */
const LOOK_EVERY_MS = 500

export interface FileWatchOptions {
  /** Absolute paths of what is watched now; asked at each look, so that they may become others. */
  readonly paths: () => readonly string[] | Promise<readonly string[]>
  /**
   * Told when the files have changed, once at a time. Resolves to whether it is done with what they hold now; if not,
   * it is told again at the next look, changed or not. Never rejects.
   */
  readonly onChange: () => Promise<boolean>
  /** Tells at the first look in any case, for whoever has to read the files before knowing which they are. */
  readonly tellsAtOnce?: boolean
}

/**
 * Looks at files again and again.
 *
 * It looks rather than listens, since what a file system tells of renames, mounts and swapped symbolic links (as
 * Kubernetes updates the volumes of ConfigMaps, Secrets and tokens) differs from one to the next.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  readonly #timer: NodeJS.Timeout
  #signature: string
  #looking: Promise<void> | null = null
  #stopped = false

  private constructor(options: FileWatchOptions, signature: string) {
    this.#options = options
    this.#signature = signature
    this.#timer = setInterval(() => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = null
      })
    }, LOOK_EVERY_MS).unref()
  }

  /**
   * Remembers how the files are now and goes on looking until {@link stop}. Started before the files are read, it sees
   * what changes while they are.
   */
  static async start(options: FileWatchOptions): Promise<FileWatch> {
    const signature = options.tellsAtOnce === true ? '' : await signatureOf(await options.paths())
    return new FileWatch(options, signature)
  }

  /** Resolves when no look is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#looking
  }

  async #look(): Promise<void> {
    const signature = await signatureOf(await this.#options.paths())
    if (signature === this.#signature || this.#stopped) return
    // Where other files are watched from now on, the next look tells once more.
    this.#signature = (await this.#options.onChange()) ? signature : ''
  }
}

/** What tells one state of the files from another: paths, and of what they lead to the inode, size and time of change. */
async function signatureOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(paths.map(stateOf))
  return paths.map((path, index) => `${path} ${states[index] ?? ''}`).join('\n')
}

async function stateOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch {
    return 'unreadable'
  }
}
