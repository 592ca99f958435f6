import { cached } from './decision-cache.ts'
import { type PolicyAuthorizer, createAuthorizer } from './policy-authorizer.ts'
import type { PolicySet } from './policy-set.ts'

/** The policy revision that new requests are decided by. One that has begun keeps the authorizer it was given. */
export class PolicyInForce {
  #authorizer: PolicyAuthorizer
  #problem = ''

  constructor(policies: PolicySet) {
    this.#authorizer = cached(createAuthorizer(policies))
  }

  get authorizer(): PolicyAuthorizer {
    return this.#authorizer
  }

  /** Why a newer revision is not in force; empty when there is none. For operators. */
  get problem(): string {
    return this.#problem
  }

  replace(policies: PolicySet): void {
    this.#authorizer = cached(createAuthorizer(policies))
  }

  /** The revision stays in force although there is a newer one, for this reason; empty when that is over. */
  keep(problem: string): void {
    this.#problem = problem
  }
}
