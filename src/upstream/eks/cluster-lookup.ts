import { Repetition } from '../repetition.ts'
import type { EksCluster } from './eks-api.ts'

/** How often a cluster is looked up, in milliseconds, give or take a tenth: endpoints and authorities rarely change. */
const LOOK_EVERY_MS = 30 * 60_000
/** When something suggests that it has changed, it is looked up at most so often. */
const LOOK_AGAIN_EVERY_MS = 60_000

/** Looks a cluster up again and again, and hands on each answer. */
export class ClusterLookup {
  readonly #repetition: Repetition
  readonly #now: () => number
  #lookedAtMs = -Infinity

  /**
   * @param onFound is awaited; what it throws counts as a failure of the look-up
   * @param now milliseconds
   * @param onDone called after each look-up, failed or not
   */
  constructor(
    describe: () => Promise<EksCluster>,
    onFound: (cluster: EksCluster) => Promise<void>,
    now: () => number,
    onDone: () => void,
  ) {
    this.#now = now
    this.#repetition = new Repetition(async () => {
      this.#lookedAtMs = now()
      await onFound(await describe())
      return LOOK_EVERY_MS * (0.9 + Math.random() / 5)
    }, onDone)
  }

  /** Why the last look-up failed; empty after a success. */
  get problem(): string {
    return this.#repetition.problem
  }

  /** Looks the cluster up now. Never rejects. */
  look(): Promise<void> {
    return this.#repetition.run()
  }

  /** To be called when the cluster may have moved. */
  suspect(): void {
    if (this.#now() - this.#lookedAtMs >= LOOK_AGAIN_EVERY_MS) void this.look()
  }

  close(): void {
    this.#repetition.close()
  }
}
