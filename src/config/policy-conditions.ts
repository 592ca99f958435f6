import { setTimeout as sleep } from 'node:timers/promises'
import { isObject } from '../document/wording.ts'
import type { PolicyObjectVersion, Verdict } from '../policy/policy-objects.ts'
import { callCluster } from '../upstream/eks/cluster-call.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Where the objects are, by kind. */
export const POLICY_OBJECT_TARGETS = {
  ClusterPosternPolicy: '/apis/postern.dev/v1alpha1/clusterposternpolicies',
  PosternPolicy: '/apis/postern.dev/v1alpha1/posternpolicies',
} as const

/** The longest message of a condition, in characters; the API takes 32768. */
const MAX_MESSAGE_LENGTH = 4_096
/** After a failure the next condition is not written before this time, in milliseconds. */
const PAUSE_MS = 5_000

/** `metav1.Condition`, but for its time. */
interface Condition {
  readonly type: 'Accepted'
  readonly status: 'True' | 'False'
  readonly observedGeneration: number
  readonly reason: Verdict['reason']
  readonly message: string
}

export interface PolicyConditionsOptions {
  readonly upstream: Pick<Upstream, 'send'>
  /** Told why conditions cannot be written, once; and with an empty text when they can again. */
  readonly onProblem: (problem: string) => void
}

/**
 * Tells of each object in its status whether it is accepted. What is told follows from the object alone and not from what
 * this connector remembers, so that several connectors tell the same; and each tells it once, so that two that differ do
 * not take turns.
 */
export class PolicyConditions {
  readonly #options: PolicyConditionsOptions
  readonly #stopped = new AbortController()
  readonly #waiting = new Map<string, Verdict>()
  /** What was told of each object. */
  #told = new Map<string, string>()
  #working: Promise<void> | null = null
  #problem = ''

  constructor(options: PolicyConditionsOptions) {
    this.#options = options
  }

  /** Tells what is not told yet. These are all there are. */
  tell(verdicts: readonly Verdict[]): void {
    const told = new Map<string, string>()
    this.#waiting.clear()
    for (const verdict of verdicts) {
      const key = keyOf(verdict)
      const before = this.#told.get(verdict.name)
      if (before !== undefined) told.set(verdict.name, before)
      if (before === key) continue
      if (isTold(verdict)) told.set(verdict.name, key)
      else this.#waiting.set(verdict.name, verdict)
    }
    this.#told = told
    this.#working ??= this.#work().finally(() => {
      this.#working = null
    })
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#working
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopped
    for (;;) {
      const [next] = this.#waiting
      if (next === undefined) return
      const [name, verdict] = next
      const { written, problem } = await this.#write(verdict, signal)
      if (signal.aborted) return
      if (this.#waiting.get(name) === verdict) {
        this.#waiting.delete(name)
        // Behind the others, which it must not hold up.
        if (problem !== '') this.#waiting.set(name, verdict)
      }
      if (written) this.#told.set(name, keyOf(verdict))
      if (problem !== this.#problem) this.#options.onProblem(problem)
      this.#problem = problem
      if (problem !== '') await sleep(PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** Neither written nor a problem is one whose object has become another meanwhile, of which the watch tells. */
  async #write(
    verdict: Verdict,
    signal: AbortSignal,
  ): Promise<{ readonly written: boolean; readonly problem: string }> {
    const { kind, namespace, name, uid, resourceVersion } = verdict.object
    const at = POLICY_OBJECT_TARGETS[kind]
    const collection = namespace === '' ? at : at.replace(/[^/]+$/, `namespaces/${namespace}/$&`)
    try {
      const { statusCode, message } = await callCluster(
        this.#options.upstream,
        {
          method: 'PATCH',
          target: `${collection}/${name}/status?fieldManager=postern`,
          contentType: 'application/merge-patch+json',
          // With its version, the object is the one that was judged, or the patch is refused.
          body: { metadata: { uid, resourceVersion }, status: { conditions: [timed(conditionOf(verdict), verdict)] } },
        },
        signal,
      )
      if (statusCode === 200) return { written: true, problem: '' }
      if (statusCode === 404 || statusCode === 409) return { written: false, problem: '' }
      const said = message.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
      return { written: false, problem: `PATCH of ${kind} status answered ${statusCode}: ${said}`.slice(0, 500) }
    } catch (error) {
      return { written: false, problem: error instanceof Error ? error.message : String(error) }
    }
  }
}

function conditionOf({ object, reason, mistakes }: Verdict): Condition {
  return {
    type: 'Accepted',
    status: reason === 'Accepted' ? 'True' : 'False',
    observedGeneration: object.generation,
    reason,
    message: reason === 'Accepted' ? 'Its rules are in force.' : mistakes.join('; ').slice(0, MAX_MESSAGE_LENGTH),
  }
}

function timed(condition: Condition, { object }: Verdict): Condition & { readonly lastTransitionTime: string } {
  const present = presentCondition(object)
  const since = present?.['status'] === condition.status ? present['lastTransitionTime'] : undefined
  const now = `${new Date().toISOString().slice(0, 19)}Z`
  return { ...condition, lastTransitionTime: typeof since === 'string' ? since : now }
}

/** Whether the object has the condition already, from an earlier run or another connector. */
function isTold(verdict: Verdict): boolean {
  const present = presentCondition(verdict.object)
  return present !== null && Object.entries(conditionOf(verdict)).every(([key, value]) => present[key] === value)
}

function presentCondition({ content }: PolicyObjectVersion): Record<PropertyKey, unknown> | null {
  const status = isObject(content) ? content['status'] : null
  const conditions = isObject(status) ? status['conditions'] : null
  if (!Array.isArray(conditions)) return null
  return conditions.filter(isObject).find(({ type }) => type === 'Accepted') ?? null
}

function keyOf(verdict: Verdict): string {
  return JSON.stringify([verdict.object.uid, conditionOf(verdict)])
}
