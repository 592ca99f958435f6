import type { PolicyObjectKind } from '../policy/policy-object.ts'
import { PolicyObjects, type PolicyObjectVersion, type Verdict } from '../policy/policy-objects.ts'
import type { Policy } from '../policy/policy-set.ts'
import type { PolicyObjectsStatus } from '../policy/policy-status.ts'
import { ObjectWatch, type WatchedObject } from '../upstream/object-watch.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { POLICY_OBJECT_TARGETS, PolicyConditions } from './policy-conditions.ts'

/** Changes that come together are taken together, in milliseconds. */
const GATHER_MS = 50
/** How many times as long as it took to take changes over the next ones wait: those who write objects get a tenth of a core. */
const REST_FACTOR = 10

export interface PolicyObjectWatchOptions {
  /** The one whose cluster the objects are in. */
  readonly socket: string
  readonly upstream: Pick<Upstream, 'send'>
  /** Whether those in namespaces count too. */
  readonly namespaced: boolean
  /** Told when the objects are known for the first time, and when something else may be in force. */
  readonly onChange: () => void
  /** Told when the objects can no longer be read, with the reason, or can be read again. */
  readonly onState: (status: PolicyObjectsStatus) => void
  /** Told of an object that is refused, and when it is refused for something else. */
  readonly onRefused: (verdict: Verdict) => void
  /** Told why conditions cannot be written, once; and with an empty text when they can again. */
  readonly onConditionProblem: (problem: string) => void
}

/**
 * Keeps the policies that are Kubernetes objects of one cluster, and tells each object what became of it. While the API
 * server is away, what was known stays in force.
 */
export class PolicyObjectWatch {
  readonly #options: PolicyObjectWatchOptions
  readonly #objects: PolicyObjects
  readonly #conditions: PolicyConditions
  readonly #watches: ReadonlyMap<PolicyObjectKind, ObjectWatch>
  readonly #latest = new Map<PolicyObjectKind, readonly PolicyObjectVersion[]>()
  #refused: ReadonlyMap<string, string> = new Map()
  #known = false
  #toldState = ''
  #timer: NodeJS.Timeout | null = null
  #restUntilMs = 0
  #stopped = false

  constructor(options: PolicyObjectWatchOptions) {
    this.#options = options
    this.#objects = new PolicyObjects(options.socket)
    const { upstream, namespaced, onConditionProblem } = options
    this.#conditions = new PolicyConditions({ upstream, onProblem: onConditionProblem })
    const kinds: PolicyObjectKind[] = namespaced ? ['ClusterPosternPolicy', 'PosternPolicy'] : ['ClusterPosternPolicy']
    this.#watches = new Map(
      kinds.map((kind) => [
        kind,
        new ObjectWatch({
          upstream,
          target: POLICY_OBJECT_TARGETS[kind],
          onChange: (objects) => {
            this.#latest.set(
              kind,
              objects.map((object) => versionOf(kind, object)),
            )
            this.#gather()
          },
          onState: () => {
            this.#tellState()
          },
        }),
      ]),
    )
  }

  /** Whether the objects were read once; until then it is not known what they deny. */
  get known(): boolean {
    return this.#known
  }

  get policies(): readonly Policy[] {
    return this.#objects.policies
  }

  get status(): PolicyObjectsStatus {
    const states = [...this.#watches.values()].map(({ state }) => state)
    const troubled = states.filter(({ problem }) => problem !== '')
    const staleSinceMs = Math.min(...troubled.map(({ currentAtMs }) => currentAtMs))
    return {
      socket: this.#options.socket,
      known: this.#known,
      staleSince: troubled.length === 0 ? null : new Date(staleSinceMs).toISOString(),
      problem: troubled.map(({ problem }) => problem).join('; '),
      count: this.#objects.verdicts.length,
      refused: this.#objects.verdicts.filter(({ reason }) => reason !== 'Accepted').map(describeVerdict),
    }
  }

  start(): void {
    for (const watch of this.#watches.values()) watch.start()
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await Promise.all([...this.#watches.values()].map((watch) => watch.stop()))
    await this.#conditions.stop()
  }

  #gather(): void {
    if (this.#latest.size < this.#watches.size) return
    const restMs = Math.max(GATHER_MS, this.#restUntilMs - performance.now())
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      if (!this.#stopped) this.#take()
    }, restMs).unref()
  }

  #take(): void {
    const begunMs = performance.now()
    const changed = this.#objects.replace([...this.#latest.values()].flat())
    const first = !this.#known
    this.#known = true
    if (changed || first) this.#options.onChange()
    this.#restUntilMs = performance.now() + REST_FACTOR * (performance.now() - begunMs)
    this.#tellRefusals()
    this.#conditions.tell(this.#objects.verdicts)
    this.#tellState()
  }

  #tellState(): void {
    const { status } = this
    const told = JSON.stringify([status.known, status.problem])
    // Before the first reading there is nothing to tell but why it fails.
    if (told === this.#toldState || (!status.known && status.problem === '')) return
    this.#toldState = told
    this.#options.onState(status)
  }

  #tellRefusals(): void {
    const refused = this.#objects.verdicts.filter(({ reason }) => reason !== 'Accepted')
    for (const verdict of refused)
      if (this.#refused.get(verdict.name) !== describeVerdict(verdict)) this.#options.onRefused(verdict)
    this.#refused = new Map(refused.map((verdict) => [verdict.name, describeVerdict(verdict)]))
  }
}

function versionOf(kind: PolicyObjectKind, { content, ...object }: WatchedObject): PolicyObjectVersion {
  return { ...object, kind, content, tooLarge: content === null }
}

const IN_FORCE: Readonly<Record<Verdict['inForce'], string>> = {
  all: 'it is in force',
  previous: 'what it said before stays in force',
  denials: 'only what it denies is in force',
  nothing: 'nothing of it is in force',
}

function describeVerdict({ name, mistakes, inForce }: Verdict): string {
  return `${name}: ${mistakes.join('; ')} (${IN_FORCE[inForce]})`
}
