import type { Subject } from '../kube/subject.ts'
import type { Attributes, Decision } from './authorizer.ts'
import type { NamedCondition } from './compiled-rule.ts'
import { withNearest } from './policy-authorizer.ts'
import type { PolicyAuthorizer } from './policy-authorizer.ts'

/** Of how many requests the decisions are kept. */
const MAX_REQUESTS = 10_000

/** How many decisions are kept of one request, each for other conditions that hold. */
const MAX_DECISIONS = 16

/** A request with a longer key is decided anew each time, so that nobody fills memory with long names. */
const MAX_KEY_LENGTH = 1024

/** What is known of a request. */
interface Known {
  readonly conditions: readonly NamedCondition[]
  /** By which of the conditions hold. */
  readonly decisions: Map<string, Decision>
}

/**
 * The same authorizer, remembering what it decided of the last requests: of at least half of `maxRequests`, at most of all
 * of them. Subjects are told apart by identity, so whoever authenticates has to hand out the same object for the same
 * credential.
 */
export function cached(authorizer: PolicyAuthorizer, maxRequests = MAX_REQUESTS): PolicyAuthorizer {
  const requests = new TwoGenerations<Known>(maxRequests)
  const ids = new WeakMap<Subject, number>()
  let subjects = 0

  function idOf(subject: Subject): number {
    let id = ids.get(subject)
    if (id === undefined) ids.set(subject, (id = subjects += 1))
    return id
  }

  function decisionOf(attributes: Attributes): Decision {
    const key = `${idOf(attributes.subject)} ${authorizer.decisionKey(attributes)}`
    if (key.length > MAX_KEY_LENGTH) return authorizer.decide(attributes).decision
    const known = requests.get(key)
    if (known === undefined) {
      const { decision, conditions } = authorizer.decide(attributes)
      requests.set(key, { conditions, decisions: new Map([[holding(conditions, attributes), decision]]) })
      return decision
    }
    const { conditions, decisions } = known
    const circumstances = holding(conditions, attributes)
    const remembered = decisions.get(circumstances)
    if (remembered !== undefined) return remembered
    if (decisions.size >= MAX_DECISIONS) decisions.clear()
    const { decision } = authorizer.decide(attributes)
    decisions.set(circumstances, decision)
    return decision
  }

  return {
    revision: authorizer.revision,
    authorize: (attributes) => withNearest(decisionOf(attributes), authorizer, attributes),
    dependsOnTime: (subject, socket) => authorizer.dependsOnTime(subject, socket),
    decide: (attributes) => authorizer.decide(attributes),
    decisionKey: (attributes) => authorizer.decisionKey(attributes),
    nearest: (attributes) => authorizer.nearest(attributes),
    mayReach: (subject, socket) => authorizer.mayReach(subject, socket),
    summary: (subject, socket) => authorizer.summary(subject, socket),
    rulesFor: (subject, socket, namespace) => authorizer.rulesFor(subject, socket, namespace),
  }
}

/** A digit for each condition: whether it holds. */
function holding(conditions: readonly NamedCondition[], attributes: Attributes): string {
  let digits = ''
  for (const condition of conditions) digits += condition.holds(attributes) ? '1' : '0'
  return digits
}

/** A map that drops its older half when it is full; what is used moves to the younger half. */
class TwoGenerations<V extends object> {
  readonly #half: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  constructor(size: number) {
    this.#half = Math.max(1, Math.floor(size / 2))
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
