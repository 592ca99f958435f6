import { StatusError } from '../kube/status.ts'
import { ExpiringMap } from './expiring-map.ts'
import type { GroupsQuestion } from './groups-question.ts'
import type { GroupsSourceOptions } from './groups-source-options.ts'
import { graphGroups } from './graph-groups.ts'
import { AnswerError } from './https-json.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { claimsKeptBack } from './kept-back.ts'
import { groupsUnavailable, refusal } from './refusal.ts'
import { type Claims, claimOf } from './unverified-token.ts'
import { userinfoGroups } from './userinfo-groups.ts'

/** How long a person's groups are kept, in milliseconds, so that a refreshed token costs no question. */
export const GROUPS_AGE_MS = 5 * 60_000
/** Most people whose groups are kept. */
const MAX_PEOPLE = 1000

/** Adds the groups to claims that lack them. Asks once for each person, whoever asks meanwhile, and closes with its owner. */
export class GroupsSource {
  readonly #kind: GroupsSourceOptions['kind']
  readonly #claim: string
  readonly #question: (claims: Claims, token: string) => GroupsQuestion
  readonly #clock: () => number
  readonly #closing = new AbortController()
  readonly #known: ExpiringMap<readonly string[]>
  readonly #underWay = new Map<string, Promise<readonly string[]>>()

  constructor(issuer: IssuerOptions, options: GroupsSourceOptions, clock: () => number) {
    const { groups } = issuer.claimMappings
    this.#claim = groups !== undefined && 'claim' in groups ? groups.claim : 'groups'
    this.#kind = options.kind
    this.#question =
      options.kind === 'userinfo' ? userinfoGroups(issuer, this.#claim) : graphGroups(issuer, options, clock)
    this.#clock = clock
    this.#known = new ExpiringMap(MAX_PEOPLE)
  }

  /**
   * The claims, with the groups in place of what stood for them.
   *
   * @param token the token that they are of, as it was presented.
   * @throws StatusError 401 when the source does not know the person or does not take the token, 503 when it cannot be asked.
   */
  async complete(claims: Claims, token: string): Promise<Claims> {
    const keptBack = claimsKeptBack(claims)?.has(this.#claim) === true
    const absent = claimOf(claims, this.#claim) === undefined
    if (!keptBack && !(absent && this.#kind === 'userinfo')) return claims
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
    const known = this.#known.get(person, this.#clock())
    if (known !== undefined) return known
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
      if (cause instanceof StatusError) throw cause
      const detail = cause instanceof Error ? cause.message : String(cause)
      if (this.#kind === 'userinfo' && cause instanceof AnswerError && [401, 403].includes(cause.statusCode)) {
        throw refusal('your groups cannot be looked up: the issuer does not take this token at its userinfo endpoint', {
          detail,
          cause,
        })
      }
      if (this.#kind === 'graph' && cause instanceof AnswerError && cause.statusCode === 404) {
        throw refusal('your groups cannot be looked up: the directory does not know you', { detail, cause })
      }
      throw groupsUnavailable({ detail, cause })
    }
  }
}
