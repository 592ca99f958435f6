import { hash } from 'node:crypto'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { StatusError } from '../kube/status.ts'
import { excerpt } from '../kube/quote.ts'
import type { Authentication, Authenticator } from './authenticator.ts'
import { bearerToken } from './bearer-token.ts'
import { ExpiringMap } from './expiring-map.ts'
import { Issuer, type VerifiedToken } from './issuer.ts'
import { assertIssuerOptions, type IssuerOptions } from './issuer-options.ts'
import { refusal } from './refusal.ts'
import { parseToken } from './unverified-token.ts'

/** Most verified tokens that are remembered, each until it ends. */
const MAX_ACCEPTED_TOKENS = 10_000
/** Most refused tokens that are remembered, and for how long: a client that keeps asking costs a hash each time. */
const MAX_REFUSED_TOKENS = 1000
export const REFUSAL_MS = 5000

export interface OidcAuthenticatorOptions {
  /** At least one; no two with the same URL. */
  readonly issuers: readonly IssuerOptions[]
  /** Milliseconds since the epoch. Default the system's clock. */
  readonly clock?: () => number
  /** Told whenever an issuer becomes ready, stops being ready, or has another reason. For the operator's log. */
  readonly onReadinessChange?: (readiness: IssuerReadiness) => void
}

/** Whether tokens of an issuer can be verified. */
export interface IssuerReadiness {
  /** Its URL. */
  readonly issuer: string
  readonly ready: boolean
  /** Why not; or, when ready, why its keys could not be refreshed. Empty when all is well. For the operator. */
  readonly reason: string
}

/** Accepts ID tokens of OpenID Connect issuers as bearer tokens. */
export interface OidcAuthenticator extends Authenticator {
  /** In the order of the options. */
  readiness(): readonly IssuerReadiness[]
  /** Stops fetching keys; tokens are still verified with the keys that are there. */
  close(): void
}

interface Accepted {
  readonly verified: VerifiedToken
  readonly issuer: Issuer
}

/**
 * Starts an authenticator. It begins to fetch the keys of every issuer at once and keeps trying in the background, so
 * the caller need not wait: until then tokens of that issuer get 503. The caller closes it.
 *
 * @throws TypeError for options that cannot work.
 */
export function createAuthenticator({
  issuers: options,
  clock = Date.now,
  onReadinessChange = () => undefined,
}: OidcAuthenticatorOptions): OidcAuthenticator {
  assertIssuerOptions(options)
  const issuers = new Map<string, Issuer>()
  for (const issuerOptions of options) {
    const issuer: Issuer = new Issuer(issuerOptions, {
      clock,
      onReadinessChange: () => {
        onReadinessChange({ issuer: issuer.url, ...issuer.readiness })
      },
    })
    issuers.set(issuer.url, issuer)
  }

  const accepted = new ExpiringMap<Accepted>(MAX_ACCEPTED_TOKENS)
  const refused = new ExpiringMap<StatusError>(MAX_REFUSED_TOKENS)
  const underWay = new Map<string, Promise<Authentication>>()

  const verify = async (token: string, key: string): Promise<Authentication> => {
    try {
      const parsed = parseToken(token)
      const issuer = issuers.get(parsed.issuer)
      if (issuer === undefined) {
        throw refusal('the token comes from an issuer that is not known here', {
          detail: `iss is ${excerpt(parsed.issuer)}`,
        })
      }
      const verified = await issuer.verify(parsed)
      const { expiresAtMs } = verified.authentication
      accepted.set(key, { verified, issuer }, { expiresAtMs, nowMs: clock() })
      return verified.authentication
    } catch (error) {
      if (error instanceof StatusError && error.status.code === 401) {
        const nowMs = clock()
        refused.set(key, error, { expiresAtMs: nowMs + REFUSAL_MS, nowMs })
      }
      throw error
    }
  }

  return {
    authenticate(headers: RawHeaders) {
      const token = bearerToken(headers)
      const key = hash('sha256', token, 'base64')
      const nowMs = clock()
      const known = accepted.get(key, nowMs)
      if (known?.issuer.stillHolds(known.verified) === true) return known.verified.authentication
      const refusalBefore = refused.get(key, nowMs)
      if (refusalBefore !== undefined) throw refusalBefore
      const shared = underWay.get(key)
      if (shared !== undefined) return shared
      const verification = verify(token, key).finally(() => underWay.delete(key))
      underWay.set(key, verification)
      return verification
    },
    readiness: () => [...issuers.values()].map((issuer) => ({ issuer: issuer.url, ...issuer.readiness })),
    close() {
      for (const issuer of issuers.values()) issuer.close()
    },
  }
}
