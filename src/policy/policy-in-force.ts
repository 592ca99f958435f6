import { cached } from './decision-cache.ts'
import { DISCOVERY } from './discovery-policy.ts'
import { createPendingAuthorizer } from './pending-authorizer.ts'
import { type PolicyAuthorizer, createAuthorizer } from './policy-authorizer.ts'
import type { PolicySet } from './policy-set.ts'
import type { PolicyObjectsStatus, PolicyStatus } from './policy-status.ts'

/** How many problems a status tells. */
const MAX_PROBLEMS = 20

/** The policy revision that new requests are decided by. One that has begun keeps the authorizer it was given. */
export class PolicyInForce {
  readonly #now: () => number
  #policies: PolicySet
  #authorizer: PolicyAuthorizer
  #sinceMs: number
  #problem = ''

  /** `missing` says which policies are not known as yet; nothing is decided then until {@link replace}. */
  constructor(policies: PolicySet, now: () => number = Date.now, missing = '') {
    this.#now = now
    this.#sinceMs = now()
    this.#policies = policies
    this.#authorizer =
      missing === '' ? cached(createAuthorizer(policies)) : createPendingAuthorizer(policies.revision, missing)
  }

  get authorizer(): PolicyAuthorizer {
    return this.#authorizer
  }

  /** Why a newer revision is not in force, one line for each mistake; empty when there is none. For operators. */
  get problem(): string {
    return this.#problem
  }

  /** `filesRevision` is that of the files alone, `objects` what is known of the policies that are Kubernetes objects. */
  status(filesRevision = this.#policies.revision, objects: PolicyObjectsStatus | null = null): PolicyStatus {
    const documented = this.#policies.policies.filter(({ name }) => name !== DISCOVERY)
    return {
      revision: this.#policies.revision,
      inForceSince: new Date(this.#sinceMs).toISOString(),
      files: [...this.#policies.files],
      policies: documented.length,
      rules: documented.reduce((sum, { rules }) => sum + rules.length, 0),
      problems: shortened(this.#problem.split('\n').filter((line) => line !== '')),
      filesRevision,
      objects: objects === null ? null : { ...objects, refused: shortened(objects.refused) },
    }
  }

  /** Gives back whether these policies decide anything else; when not, only the places of rules are new. */
  replace(policies: PolicySet): boolean {
    const changed = policies.revision !== this.#policies.revision
    if (changed) this.#sinceMs = this.#now()
    this.#policies = policies
    this.#authorizer = cached(createAuthorizer(policies))
    return changed
  }

  /** The revision stays in force although there is a newer one, for this reason; empty when that is over. */
  keep(problem: string): void {
    this.#problem = problem
  }
}

function shortened(problems: readonly string[]): string[] {
  if (problems.length <= MAX_PROBLEMS) return [...problems]
  return [...problems.slice(0, MAX_PROBLEMS), `and ${problems.length - MAX_PROBLEMS} more`]
}
