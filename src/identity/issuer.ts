import { compactVerify } from 'jose'
import { excerpt } from '../kube/quote.ts'
import type { Authentication } from './authenticator.ts'
import { subjectFromClaims } from './claims-to-subject.ts'
import { fetchPublishedKeys } from './discovery.ts'
import { assertIdTokenClaims } from './id-token-claims.ts'
import { DEFAULT_ALGORITHMS, type IssuerOptions } from './issuer-options.ts'
import { KeySet, type KeySetReadiness } from './key-set.ts'
import { refusal } from './refusal.ts'
import { type Claims, claimOf, parseJsonObject, type UnverifiedToken } from './unverified-token.ts'
import type { VerificationKey } from './verification-key.ts'

/** A token that holds, and the key that it rests on. */
export interface VerifiedToken {
  readonly authentication: Authentication
  readonly key: VerificationKey
}

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

  constructor(options: IssuerOptions, { clock, onReadinessChange }: IssuerSurroundings) {
    this.url = options.url
    this.#options = options
    this.#clock = clock
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
    const accepted = this.#options.algorithms ?? DEFAULT_ALGORITHMS
    const algorithm = accepted.find((name) => name === token.algorithm)
    if (algorithm === undefined) {
      const detail = `alg is ${excerpt(token.algorithm)}, accepted are ${accepted.join(', ')}`
      throw refusal('the token is signed in a way that is not accepted', { detail })
    }
    const key = await this.#keys.find(algorithm, token.keyId)
    const claims = await verifiedClaims(token, algorithm, key)
    if (claimOf(claims, 'iss') !== this.url) throw refusal('the token comes from another issuer')
    const expiresAtMs = assertIdTokenClaims(claims, this.#options, this.#clock())
    const subject = subjectFromClaims(claims, this.#options.claimMappings)
    return { authentication: Object.freeze({ subject, issuer: this.url, expiresAtMs }), key }
  }

  /** False when the issuer withdrew the key since; the token has to be verified again then. */
  stillHolds({ key }: VerifiedToken): boolean {
    return this.#keys.holds(key)
  }

  close(): void {
    this.#keys.close()
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
