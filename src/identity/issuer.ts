import { compactVerify } from 'jose'
import { excerpt } from '../kube/quote.ts'
import { badRequest } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { fetchPublishedKeys } from './discovery.ts'
import { assertIdTokenClaims } from './id-token-claims.ts'
import { GroupsSource } from './groups-source.ts'
import { DEFAULT_ALGORITHMS, type IssuerOptions } from './issuer-options.ts'
import { KeySet, type KeySetReadiness } from './key-set.ts'
import { type LogoutToken, readLogoutClaims } from './logout-token.ts'
import { signInOf } from './logins/sign-in.ts'
import { refusal } from './refusal.ts'
import { subjectRules } from './subject-rules.ts'
import { type Claims, claimOf, parseJsonObject, type UnverifiedToken } from './unverified-token.ts'
import type { VerificationKey } from './verification-key.ts'
import type { VerifiedToken } from './verified-token.ts'

export interface IssuerSurroundings {
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  readonly onReadinessChange: () => void
}

/** One issuer at work: its keys, which are its own, and the rules for its tokens. The owner closes it. */
export class Issuer {
  readonly url: string
  readonly #options: IssuerOptions
  readonly #clock: () => number
  readonly #keys: KeySet
  readonly #subject: (claims: Claims) => Subject
  readonly #groups: GroupsSource | null

  constructor(options: IssuerOptions, { clock, onReadinessChange }: IssuerSurroundings) {
    this.url = options.url
    this.#options = options
    this.#clock = clock
    this.#subject = subjectRules(options)
    this.#groups = options.groupsFrom === undefined ? null : new GroupsSource(options, options.groupsFrom, clock)
    this.#keys = new KeySet({ load: (signal) => fetchPublishedKeys(options, signal), clock, onReadinessChange })
  }

  get readiness(): KeySetReadiness {
    return this.#keys.readiness
  }

  /**
   * Verifies a token whose unverified `iss` is this issuer.
   *
   * @throws StatusError 401 saying what is wrong; 503 when the issuer has to be asked and cannot be.
   */
  async verify(token: UnverifiedToken): Promise<VerifiedToken> {
    const { claims, key } = await this.#claimsOf(token)
    const expiresAtMs = assertIdTokenClaims(claims, this.#options, this.#clock())
    const whole = this.#groups === null ? claims : await this.#groups.complete(claims, token.text)
    const subject = this.#subject(whole)
    return {
      authentication: Object.freeze({ subject, issuer: this.url, expiresAtMs }),
      signIn: signInOf(this.url, claims),
      cachedUntilMs: expiresAtMs,
      stillHolds: () => this.#keys.holds(key),
    }
  }

  /**
   * Verifies a logout token whose unverified `iss` is this issuer.
   *
   * @throws StatusError 400 and 401 saying what is wrong, 400 for an issuer whose logout tokens nobody asked for; 503 when
   * the issuer has to be asked and cannot be.
   */
  async verifyLogout(token: UnverifiedToken): Promise<LogoutToken> {
    if (this.#options.client?.backchannelLogout !== true)
      throw badRequest('logout tokens of this issuer are not taken', { detail: this.url })
    const { claims } = await this.#claimsOf(token)
    return readLogoutClaims(claims, this.#options, this.#clock())
  }

  close(): void {
    this.#keys.close()
    this.#groups?.close()
  }

  /** What this issuer signed, whatever it is for. */
  async #claimsOf(token: UnverifiedToken): Promise<{ readonly claims: Claims; readonly key: VerificationKey }> {
    const accepted = this.#options.algorithms ?? DEFAULT_ALGORITHMS
    const algorithm = accepted.find((name) => name === token.algorithm)
    if (algorithm === undefined) {
      const detail = `alg is ${excerpt(token.algorithm)}, accepted are ${accepted.join(', ')}`
      throw refusal('the token is signed in a way that is not accepted', { detail })
    }
    const key = await this.#keys.find(algorithm, token.keyId)
    const claims = await verifiedClaims(token, algorithm, key)
    if (claimOf(claims, 'iss') !== this.url) throw refusal('the token comes from another issuer')
    return { claims, key }
  }
}

async function verifiedClaims(token: UnverifiedToken, algorithm: string, key: VerificationKey): Promise<Claims> {
  let payload: Uint8Array
  try {
    payload = (await compactVerify(token.text, key.publicKey, { algorithms: [algorithm] })).payload
  } catch (cause) {
    throw refusal('the signature of the token does not hold', { cause })
  }
  return parseJsonObject(payload)
}
