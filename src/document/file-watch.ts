import { stat } from 'node:fs/promises'

/** How often files are looked at that rest, in milliseconds. */
const LOOK_EVERY_MS = 400

/** How long files have to rest after a change before they are read, in milliseconds. */
const REST_MS = 300

/** How long files may go without a rest before that is told of, in milliseconds. */
const RESTLESS_AFTER_MS = 3_000

export interface FileWatchOptions {
  /** Absolute paths of what is watched now; asked at each look, so that they may become others. */
  readonly paths: () => readonly string[] | Promise<readonly string[]>
  /**
   * Told when the files have changed and rest, once at a time. Resolves to whether it is done with what they hold now; if
   * not, it is told again at the next look, changed or not. Never rejects.
   *
   * @param unchanged whether the files still are what they were when they rested: asked after they are read, it says
   *   whether what was read is whole
   */
  readonly onChange: (unchanged: () => Promise<boolean>) => Promise<boolean>
  /** Told once of files that are written all the time; they are read as soon as they rest. */
  readonly onRestless: (paths: readonly string[]) => void
  /** Tells at the first look in any case, for whoever has to read the files before knowing which they are. */
  readonly tellsAtOnce?: boolean
}

/** What tells one state of a file from another, for each path. */
type States = ReadonlyMap<string, string>

/** Files that are not what they were when they rested last. */
interface Change {
  readonly states: States
  readonly sinceMs: number
  readonly isTold: boolean
}

/**
 * Looks at files again and again. A file that is written in place holds half of what it is to hold for a while, so it
 * counts as changed when two looks find it the same.
 *
 * It looks rather than listens, since what a file system tells of renames, mounts and swapped symbolic links (as
 * Kubernetes updates the volumes of ConfigMaps, Secrets and tokens) differs from one to the next.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  #timer: NodeJS.Timeout
  #rested: States
  /** Whether whoever is told is done with what the files held when they rested. */
  #isDone: boolean
  #change: Change | null = null
  #looking: Promise<void> | null = null
  #stopped = false

  private constructor(options: FileWatchOptions, rested: States) {
    this.#options = options
    this.#rested = rested
    this.#isDone = options.tellsAtOnce !== true
    this.#timer = this.#lookAfter(LOOK_EVERY_MS)
  }

  /**
   * Remembers how the files are now and goes on looking until {@link stop}. Started before the files are read, it sees
   * what changes while they are.
   */
  static async start(options: FileWatchOptions): Promise<FileWatch> {
    return new FileWatch(options, await fileStates(await options.paths()))
  }

  /** Resolves when no look is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#looking
  }

  #lookAfter(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#looking = this.#look().finally(() => {
        this.#looking = null
        if (!this.#stopped) this.#timer = this.#lookAfter(this.#change === null ? LOOK_EVERY_MS : REST_MS)
      })
    }, delayMs).unref()
  }

  async #look(): Promise<void> {
    const states = await this.#states()
    if (this.#stopped) return
    if (changedPaths(this.#change?.states ?? this.#rested, states).length > 0) {
      this.#notice(states)
      return
    }
    if (this.#change !== null) this.#isDone = false
    this.#rested = states
    this.#change = null
    // Where other files are watched from now on, a look finds them changed.
    if (!this.#isDone) {
      this.#isDone = await this.#options.onChange(async () => changedPaths(states, await this.#states()).length === 0)
    }
  }

  #notice(states: States): void {
    const nowMs = performance.now()
    const { sinceMs, isTold, states: before } = this.#change ?? { sinceMs: nowMs, isTold: false, states: this.#rested }
    const isRestless = !isTold && nowMs - sinceMs >= RESTLESS_AFTER_MS
    this.#change = { states, sinceMs, isTold: isTold || isRestless }
    if (!isRestless) return
    this.#isDone = false
    this.#options.onRestless(changedPaths(before, states))
  }

  async #states(): Promise<States> {
    return fileStates(await this.#options.paths())
  }
}

/** Of what the paths lead to the inode, size and time of change: what tells one state of the files from another. */
export async function fileStates(paths: readonly string[]): Promise<States> {
  return new Map(await Promise.all(paths.map(async (path) => [path, await stateOf(path)] as const)))
}

/** The paths that are only in one of them, or lead to another state. */
export function changedPaths(before: States, after: States): readonly string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path))
}

async function stateOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch {
    return 'unreadable'
  }
}
