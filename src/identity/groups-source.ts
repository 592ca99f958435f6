import { StatusError } from '../kube/status.ts'
import { ExpiringMap } from './expiring-map.ts'
import type { GroupsQuestion } from './groups-question.ts'
import type { GroupsSourceOptions } from './groups-source-options.ts'
import { graphGroups } from './graph-groups.ts'
import { AnswerError } from './https-json.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { claimsKeptBack } from './kept-back.ts'
import { groupsUnavailable, refusal, tooManyGroups } from './refusal.ts'
import { TooManyGroups } from './string-list.ts'
import { MAX_GROUPS } from './subject-name.ts'
import { type Claims, claimOf } from './unverified-token.ts'
import { userinfoGroups } from './userinfo-groups.ts'

/** How long a person's groups are kept, in milliseconds, so that a refreshed token costs no question. */
export const GROUPS_AGE_MS = 5 * 60_000
/** How long a refusal is kept, in milliseconds, so that somebody who tries again and again costs no questions. */
export const FAILURE_AGE_MS = 5000
/** Most people whose groups are kept, and most whose refusals are. */
const MAX_PEOPLE = 1000

/** Adds the groups to claims that lack them. Asks once for each person, whoever asks meanwhile, and closes with its owner. */
export class GroupsSource {
  readonly #kind: GroupsSourceOptions['kind']
  readonly #claim: string
  readonly #question: (claims: Claims, token: string) => GroupsQuestion
  readonly #clock: () => number
  readonly #closing = new AbortController()
  readonly #known = new ExpiringMap<readonly string[]>(MAX_PEOPLE)
  readonly #failed = new ExpiringMap<StatusError>(MAX_PEOPLE)
  readonly #underWay = new Map<string, Promise<readonly string[]>>()

  constructor(issuer: IssuerOptions, options: GroupsSourceOptions, clock: () => number) {
    const { groups } = issuer.claimMappings
    this.#claim = groups !== undefined && 'claim' in groups ? groups.claim : 'groups'
    this.#kind = options.kind
    this.#question =
      options.kind === 'userinfo' ? userinfoGroups(issuer, this.#claim) : graphGroups(issuer, options, clock)
    this.#clock = clock
  }

  /**
   * The claims, with the groups in place of what stood for them. Where it cannot be told what was left out, they stay as
   * they are, which nobody gets in with whose groups are wanted.
   *
   * @param token the token that they are of, as it was presented.
   * @throws StatusError 401 when the source does not know the person or does not take the token, 503 when it cannot be asked.
   */
  async complete(claims: Claims, token: string): Promise<Claims> {
    const keptBack = claimsKeptBack(claims)
    if (keptBack === null) return claims
    const absent = claimOf(claims, this.#claim) === undefined
    if (!keptBack.has(this.#claim) && !(absent && this.#kind === 'userinfo')) return claims
    const { _claim_names: elsewhere, hasgroups, ...rest } = claims
    const names = Object.fromEntries(Object.entries(elsewhere ?? {}).filter(([name]) => name !== this.#claim))
    return {
      ...rest,
      ...(Object.keys(names).length > 0 && { _claim_names: names }),
      ...(this.#claim !== 'groups' && hasgroups !== undefined && { hasgroups }),
      [this.#claim]: await this.#groupsOf(this.#question(claims, token)),
    }
  }

  close(): void {
    this.#closing.abort(new Error('the connector stops'))
  }

  #groupsOf({ person, ask }: GroupsQuestion): readonly string[] | Promise<readonly string[]> {
    const nowMs = this.#clock()
    const known = this.#known.get(person, nowMs)
    if (known !== undefined) return known
    const failed = this.#failed.get(person, nowMs)
    if (failed !== undefined) throw failed
    const shared = this.#underWay.get(person)
    if (shared !== undefined) return shared
    const asking = this.#ask(person, ask).finally(() => this.#underWay.delete(person))
    this.#underWay.set(person, asking)
    return asking
  }

  async #ask(person: string, ask: GroupsQuestion['ask']): Promise<readonly string[]> {
    try {
      const groups = await ask(this.#closing.signal)
      const nowMs = this.#clock()
      this.#known.set(person, groups, { expiresAtMs: nowMs + GROUPS_AGE_MS, nowMs })
      return groups
    } catch (cause) {
      const error = this.#refusal(cause)
      const nowMs = this.#clock()
      this.#failed.set(person, error, { expiresAtMs: nowMs + FAILURE_AGE_MS, nowMs })
      throw error
    }
  }

  #refusal(cause: unknown): StatusError {
    if (cause instanceof StatusError) return cause
    const detail = cause instanceof Error ? cause.message : String(cause)
    if (cause instanceof TooManyGroups) return tooManyGroups(MAX_GROUPS, { detail, cause })
    if (this.#kind === 'userinfo' && cause instanceof AnswerError && [401, 403].includes(cause.statusCode)) {
      return refusal('your groups cannot be looked up: the issuer does not take this token at its userinfo endpoint', {
        detail,
        cause,
      })
    }
    if (this.#kind === 'graph' && cause instanceof AnswerError && cause.statusCode === 404) {
      return refusal('your groups cannot be looked up: the directory does not know you', { detail, cause })
    }
    return groupsUnavailable({ detail, cause })
  }
}
