import type { Subject } from '../kube/subject.ts'
import type { Decision } from './authorizer.ts'
import type { PolicyAuthorizer } from './policy-authorizer.ts'

/** How many decisions are kept. */
const MAX_DECISIONS = 10_000

/** A request with a longer key is decided anew each time, so that nobody fills memory with long names. */
const MAX_KEY_LENGTH = 1024

/**
 * The same authorizer, remembering its last decisions: at least half of `maxDecisions`, at most all of them. Subjects
 * are told apart by identity, so whoever authenticates has to hand out the same object for the same credential.
 */
export function cached(authorizer: PolicyAuthorizer, maxDecisions = MAX_DECISIONS): PolicyAuthorizer {
  const decisions = new TwoGenerations<Decision>(maxDecisions)
  const ids = new WeakMap<Subject, number>()
  let subjects = 0

  function idOf(subject: Subject): number {
    let id = ids.get(subject)
    if (id === undefined) ids.set(subject, (id = subjects += 1))
    return id
  }

  return {
    revision: authorizer.revision,
    authorize(attributes) {
      const key = `${idOf(attributes.subject)} ${authorizer.decisionKey(attributes)}`
      if (key.length > MAX_KEY_LENGTH) return authorizer.authorize(attributes)
      let decision = decisions.get(key)
      if (decision === undefined) decisions.set(key, (decision = authorizer.authorize(attributes)))
      return decision
    },
    decisionKey: (attributes) => authorizer.decisionKey(attributes),
    mayReach: (subject, socket) => authorizer.mayReach(subject, socket),
    summary: (subject, socket) => authorizer.summary(subject, socket),
    rulesFor: (subject, socket, namespace) => authorizer.rulesFor(subject, socket, namespace),
  }
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
