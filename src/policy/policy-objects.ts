import { type PolicyObject, policyObjectName, readPolicyObject } from './policy-object.ts'
import type { Policy } from './policy-set.ts'

/** How many objects of one namespace count, the oldest first: nobody can crowd out the others of a cluster. */
export const MAX_PER_NAMESPACE = 100

/** How many mistakes of one object are told. */
const MAX_MISTAKES = 20

/** A policy object with what tells one state of it from another. */
export interface PolicyObjectVersion extends PolicyObject {
  readonly uid: string
  /** Changes with anything of it. */
  readonly resourceVersion: string
  /** Changes with the content. */
  readonly generation: number
  /** RFC 3339. */
  readonly createdAt: string
  /** Whether it is longer than is read; its content is null then. */
  readonly tooLarge: boolean
}

/** What the connector says of an object. */
export interface Verdict {
  readonly object: PolicyObjectVersion
  /** `ClusterPosternPolicy/NAME` or `PosternPolicy/NAMESPACE/NAME`. */
  readonly name: string
  readonly reason: 'Accepted' | 'Invalid' | 'TooLarge' | 'TooMany'
  /** Empty when it is accepted. */
  readonly mistakes: readonly string[]
  /** What of it holds: all it says now, what it said before, only what it denies, or nothing. */
  readonly inForce: 'all' | 'previous' | 'denials' | 'nothing'
}

interface Known {
  readonly verdict: Verdict
  /** What of the object is in force; null for nothing. */
  readonly policy: Policy | null
  /** The last that it said without a mistake. */
  readonly good: Policy | null
}

/**
 * The policies of the objects of one cluster. Each stands for itself: one with mistakes keeps its last good form; one that
 * never had any leaves only its sound denials in force. None takes another one down.
 */
export class PolicyObjects {
  readonly #socket: string
  #known: ReadonlyMap<string, Known> = new Map()

  /** `socket` is the one whose cluster they come from. */
  constructor(socket: string) {
    this.#socket = socket
  }

  get policies(): readonly Policy[] {
    return [...this.#known.values()].map(({ policy }) => policy).filter((policy) => policy !== null)
  }

  get verdicts(): readonly Verdict[] {
    return [...this.#known.values()].map(({ verdict }) => verdict)
  }

  /** Takes these to be all there are. Gives back whether anything else may be in force now. */
  replace(objects: readonly PolicyObjectVersion[]): boolean {
    const known = new Map<string, Known>()
    const counts = new Map<string, number>()
    let changed = false
    for (const object of objects.toSorted(byAge)) {
      const count = object.namespace === '' ? 0 : (counts.get(object.namespace) ?? 0) + 1
      counts.set(object.namespace, count)
      const name = policyObjectName(object)
      const before = this.#known.get(name)
      const now = this.#judge(object, name, count > MAX_PER_NAMESPACE, before)
      if (now.policy !== (before?.policy ?? null)) changed = true
      known.set(name, now)
    }
    for (const [name, { policy }] of this.#known) if (policy !== null && !known.has(name)) changed = true
    this.#known = known
    return changed
  }

  #judge(object: PolicyObjectVersion, name: string, tooMany: boolean, before: Known | undefined): Known {
    const same = before?.verdict.object.uid === object.uid ? before : undefined
    if (tooMany) {
      const mistakes = [`is more than the ${MAX_PER_NAMESPACE} of this namespace that count`]
      return { verdict: { object, name, reason: 'TooMany', mistakes, inForce: 'nothing' }, policy: null, good: null }
    }
    const unchanged = same?.verdict.object.generation === object.generation && same.verdict.reason !== 'TooMany'
    if (unchanged) return { ...same, verdict: { ...same.verdict, object } }
    const reading = object.tooLarge
      ? ({ policy: null, denials: null, mistakes: ['is longer than is read'] } as const)
      : readPolicyObject(object, this.#socket)
    if (reading.policy !== null) {
      const { policy } = reading
      return { verdict: { object, name, reason: 'Accepted', mistakes: [], inForce: 'all' }, policy, good: policy }
    }
    const good = same?.good ?? null
    const policy = good ?? reading.denials
    const mistakes = shortened(reading.mistakes)
    const inForce = good !== null ? 'previous' : policy !== null ? 'denials' : 'nothing'
    return {
      verdict: { object, name, reason: object.tooLarge ? 'TooLarge' : 'Invalid', mistakes, inForce },
      policy,
      good,
    }
  }
}

function byAge(a: PolicyObjectVersion, b: PolicyObjectVersion): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1
  return a.name < b.name ? -1 : 1
}

function shortened(mistakes: readonly string[]): readonly string[] {
  if (mistakes.length <= MAX_MISTAKES) return mistakes
  return [...mistakes.slice(0, MAX_MISTAKES), `and ${mistakes.length - MAX_MISTAKES} more`]
}
