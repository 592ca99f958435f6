import { excerpt } from '../kube/quote.ts'
import { StatusError } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { issuerUnavailable, machineRefusal } from './refusal.ts'
import { flawOfName, MAX_GROUPS } from './subject-name.ts'
import { claimOf, type UnverifiedToken } from './unverified-token.ts'
import type { VerifiedToken } from './verified-token.ts'

/** How long a cluster's word on a token is taken, in milliseconds: a deleted pod or account is out by then. */
export const REVIEW_AGE_MS = 30_000
/** From asking to the answer. */
const REVIEW_TIMEOUT_MS = 5_000
/** Most reviews that one cluster is asked for at once. */
export const MAX_REVIEWS_UNDER_WAY = 32

/** Body of a `create tokenreviews`. */
export interface TokenReviewRequest {
  readonly apiVersion: 'authentication.k8s.io/v1'
  readonly kind: 'TokenReview'
  readonly spec: { readonly token: string; readonly audiences: readonly string[] }
}

/** Service accounts of one cluster. */
export interface ServiceAccountsOptions {
  /** The socket that leads to the cluster; for the operator. */
  readonly socket: string
  /** At least one. Only tokens for one of these are shown to the cluster. */
  readonly audiences: readonly string[]
  /** Put before usernames and groups. See {@link isMachinePrefix}. */
  readonly prefix: string
  /**
   * Asks the cluster, with the connector's own credential.
   *
   * @returns the answer's body, parsed. @throws StatusError when there is none.
   */
  readonly review: (request: TokenReviewRequest, signal: AbortSignal) => Promise<unknown>
}

/** Tokens of service accounts, on the word of the cluster that issued them. */
export class ServiceAccounts {
  readonly #options: ServiceAccountsOptions
  readonly #clock: () => number
  #underWay = 0

  constructor(options: ServiceAccountsOptions, clock: () => number) {
    this.#options = options
    this.#clock = clock
  }

  /** Whether a token says that it is for this cluster's audiences. No other is shown to the cluster. */
  accepts({ unverifiedClaims }: UnverifiedToken): boolean {
    const audience = claimOf(unverifiedClaims, 'aud')
    const all: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
    return this.#options.audiences.some((own) => all.includes(own))
  }

  /** @throws StatusError 401 when the cluster does not vouch for the token, 503 when it cannot be asked. */
  async verify(token: UnverifiedToken): Promise<VerifiedToken> {
    const subject = this.#subjectOf(await this.#review(token.text))
    // The cluster has checked it; it is not in the answer.
    const expiry = claimOf(token.unverifiedClaims, 'exp')
    const nowMs = this.#clock()
    if (typeof expiry !== 'number' || !(expiry * 1000 > nowMs)) throw machineRefusal('the token has no usable exp time')
    const expiresAtMs = expiry * 1000
    return {
      authentication: Object.freeze({ subject, issuer: `serviceaccounts/${this.#options.socket}`, expiresAtMs }),
      cachedUntilMs: Math.min(expiresAtMs, nowMs + REVIEW_AGE_MS),
      stillHolds: () => true,
    }
  }

  async #review(token: string): Promise<unknown> {
    const { socket, audiences, review } = this.#options
    if (this.#underWay >= MAX_REVIEWS_UNDER_WAY) {
      throw issuerUnavailable({ detail: `${MAX_REVIEWS_UNDER_WAY} tokens are reviewed by socket ${socket} already` })
    }
    this.#underWay += 1
    try {
      const request = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences },
      } as const
      return await review(request, AbortSignal.timeout(REVIEW_TIMEOUT_MS))
    } catch (cause) {
      const reason = cause instanceof StatusError && cause.detail !== '' ? cause.detail : String(cause)
      throw issuerUnavailable({ detail: `socket ${socket} cannot review a token: ${reason}`, cause })
    } finally {
      this.#underWay -= 1
    }
  }

  /** All three have to be right: `authenticated`, no `error`, and audiences that are ours (KEP-1205). */
  #subjectOf(answer: unknown): Subject {
    const { kind, status } = record(answer)
    const { authenticated, error = '', audiences, user } = record(status)
    if (kind !== 'TokenReview' || error !== '' || authenticated !== true) {
      const detail = typeof error === 'string' ? `the cluster says: ${excerpt(error, 200)}` : 'the answer is malformed'
      throw machineRefusal('the cluster does not vouch for the token', { detail })
    }
    if (!listOf(audiences).some((audience) => this.#options.audiences.some((own) => own === audience))) {
      throw machineRefusal('the cluster does not say that the token is meant for this audience')
    }
    const { username, uid = '', groups = [] } = record(user)
    if (typeof username !== 'string' || !/^system:serviceaccount:[^:]+:[^:]+$/.test(username)) {
      throw machineRefusal('the token is not one of a service account')
    }
    if (typeof uid !== 'string') throw machineRefusal('the cluster gives a uid that cannot be used')
    return Object.freeze({
      username: this.#named(username),
      uid,
      groups: Object.freeze(listOf(groups).map((group) => this.#named(group))),
      extra: Object.freeze(Object.create(null) as Subject['extra']),
    })
  }

  #named(name: unknown): string {
    if (typeof name !== 'string' || flawOfName(name) !== undefined)
      throw machineRefusal('the cluster gives a name that cannot be used')
    return this.#options.prefix + name
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value) && value.length <= MAX_GROUPS) return value
  throw machineRefusal('the answer of the cluster cannot be used')
}
