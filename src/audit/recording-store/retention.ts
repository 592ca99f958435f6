import type { RecordingUsage } from './recording-directory.ts'

/** How often recordings are looked through for those to delete, in milliseconds. */
const SWEEP_EVERY_MS = 3_600_000

/** How long recordings are kept. */
export interface RetentionPolicy {
  /** Since a recording's end, in milliseconds; null for ever. */
  readonly maxAgeMs: number | null
  /** Of all recordings together; null for any. */
  readonly maxBytes: number | null
}

/** Why a recording was deleted. */
export type RetentionReason = 'age' | 'size'

/** What retention tells. */
export interface RetentionEvents {
  readonly onDeleted: (id: string, reason: RetentionReason) => void
  readonly onProblem: (error: Error) => void
}

interface Swept {
  usage(): Promise<readonly RecordingUsage[]>
  remove(id: string): Promise<boolean>
}

/** Which recordings are to be deleted, oldest first: too old, or too much together. Never one under way. */
export function expiredRecordings(
  usage: readonly RecordingUsage[],
  { maxAgeMs, maxBytes }: RetentionPolicy,
  nowMs: number,
): { readonly id: string; readonly reason: RetentionReason }[] {
  let total = usage.reduce((sum, { byteLength }) => sum + byteLength, 0)
  const expired: { id: string; reason: RetentionReason }[] = []
  for (const { id, byteLength, writtenAtMs } of usage
    .filter(({ underWay }) => !underWay)
    .sort((a, b) => a.writtenAtMs - b.writtenAtMs)) {
    const tooOld = maxAgeMs !== null && nowMs - writtenAtMs > maxAgeMs
    if (!tooOld && (maxBytes === null || total <= maxBytes)) break
    expired.push({ id, reason: tooOld ? 'age' : 'size' })
    total -= byteLength
  }
  return expired
}

/** Deletes what is too old or too much, at once and then every hour, until it is stopped. */
export class Retention {
  readonly #store: Swept
  readonly #policy: RetentionPolicy
  readonly #events: RetentionEvents
  readonly #timer: NodeJS.Timeout
  #sweeping: Promise<void> | null = null
  #stopped = false

  constructor(store: Swept, policy: RetentionPolicy, events: RetentionEvents) {
    this.#store = store
    this.#policy = policy
    this.#events = events
    this.#timer = setInterval(() => void this.sweep(), SWEEP_EVERY_MS)
    this.#timer.unref()
    void this.sweep()
  }

  /** Resolves when what is to be deleted now is. One sweep runs at a time. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = null
    })
    return this.#sweeping
  }

  /** Resolves when nothing is deleted any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#sweeping
  }

  async #sweep(): Promise<void> {
    const problems: unknown[] = []
    try {
      for (const { id, reason } of expiredRecordings(await this.#store.usage(), this.#policy, Date.now())) {
        if (this.#stopped) return
        try {
          if (await this.#store.remove(id)) this.#events.onDeleted(id, reason)
        } catch (error) {
          problems.push(error)
        }
      }
    } catch (error) {
      problems.push(error)
    }
    const [cause] = problems
    if (cause !== undefined && !this.#stopped) {
      this.#events.onProblem(new Error('recordings that are due cannot be deleted', { cause }))
    }
  }
}
