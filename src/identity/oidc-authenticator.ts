import { hash } from 'node:crypto'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { StatusError } from '../kube/status.ts'
import { excerpt } from '../kube/quote.ts'
import type { Authentication, Authenticator } from './authenticator.ts'
import { bearerToken, hasToken, MAX_TOKEN_LENGTH } from './bearer-token.ts'
import { ClientCertificates, type ClientCertificatesOptions } from './client-certificates.ts'
import type { PresentedCertificate } from './presented-certificate.ts'
import { ExpiringMap } from './expiring-map.ts'
import { Issuer } from './issuer.ts'
import { assertIssuerOptions, type IssuerOptions } from './issuer-options.ts'
import type { Logins } from './logins/logins.ts'
import { LOGOUT_TOKEN_TYPE, type LogoutToken } from './logout-token.ts'
import { assertOwnNames, reservedPrefixes } from './name-prefixes.ts'
import { machineRefusal, refusal } from './refusal.ts'
import { ServiceAccounts, type ServiceAccountsOptions } from './service-accounts.ts'
import { parseToken, type UnverifiedToken } from './unverified-token.ts'
import type { VerifiedToken } from './verified-token.ts'

/** Most verified tokens that are remembered, each until it ends. */
const MAX_ACCEPTED_TOKENS = 10_000
/** Most refused tokens that are remembered, and for how long: a client that keeps asking costs a hash each time. */
const MAX_REFUSED_TOKENS = 1000
export const REFUSAL_MS = 5000

export interface OidcAuthenticatorOptions {
  /** At least one; no two with the same URL, nor with names that could be each other's. */
  readonly issuers: readonly IssuerOptions[]
  /** Clusters whose service accounts may come in. No two with the same prefix or audience. */
  readonly serviceAccounts?: readonly ServiceAccountsOptions[]
  /** When client certificates are taken. */
  readonly clientCertificates?: ClientCertificatesOptions
  /** Where the logins of people are known; without it none is, and none can be revoked. */
  readonly logins?: Logins
  /** Longest token that is looked at, in characters. Default {@link MAX_TOKEN_LENGTH}. */
  readonly maxTokenLength?: number
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
  /**
   * Verifies a logout token.
   *
   * @throws StatusError 400 and 401 saying what is wrong; 503 when the issuer has to be asked and cannot be.
   */
  verifyLogout(token: string): Promise<LogoutToken>
  /** Stops fetching keys; tokens are still verified with the keys that are there. */
  close(): void
}

/**
 * Starts an authenticator. It begins to fetch the keys of every issuer at once and keeps trying in the background, so
 * the caller need not wait: until then tokens of that issuer get 503. The caller closes it.
 *
 * @throws TypeError for options that cannot work.
 */
export function createAuthenticator({
  issuers: options,
  serviceAccounts: serviceAccountsOptions = [],
  clientCertificates,
  logins,
  maxTokenLength = MAX_TOKEN_LENGTH,
  clock = Date.now,
  onReadinessChange = () => undefined,
}: OidcAuthenticatorOptions): OidcAuthenticator {
  assertIssuerOptions(options)
  const machines = [...serviceAccountsOptions, ...(clientCertificates === undefined ? [] : [clientCertificates])]
  const reserved = reservedPrefixes(
    options,
    machines.map(({ prefix }) => prefix),
  )
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

  const serviceAccounts = serviceAccountsOptions.map((cluster) => new ServiceAccounts(cluster, clock))
  const certificates = clientCertificates === undefined ? null : new ClientCertificates(clientCertificates, clock)

  const accepted = new ExpiringMap<VerifiedToken>(MAX_ACCEPTED_TOKENS)
  const refused = new ExpiringMap<StatusError>(MAX_REFUSED_TOKENS)
  const underWay = new Map<string, Promise<Authentication>>()

  const verifyAtSource = async (token: UnverifiedToken): Promise<VerifiedToken> => {
    const issuer = issuers.get(token.issuer)
    if (issuer !== undefined) {
      const verified = await issuer.verify(token)
      assertOwnNames(verified.authentication.subject, reserved.get(issuer.url) ?? [])
      return verified
    }
    const cluster = serviceAccounts.find((candidate) => candidate.accepts(token))
    if (cluster !== undefined) return await cluster.verify(token)
    throw unknownIssuer(token)
  }

  const verify = async (token: string, key: string): Promise<Authentication> => {
    try {
      const verified = withLogin(await verifyAtSource(parseToken(token)), logins)
      accepted.set(key, verified, { expiresAtMs: verified.cachedUntilMs, nowMs: clock() })
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
    authenticate(headers: RawHeaders, certificate: PresentedCertificate | null = null) {
      if (certificate !== null && certificates !== null) {
        if (hasToken(headers))
          throw machineRefusal('the request has a token and a client certificate; send one of them')
        return certificates.authenticate(certificate)
      }
      const token = bearerToken(headers, maxTokenLength)
      const key = hash('sha256', token, 'base64')
      const nowMs = clock()
      const known = accepted.get(key, nowMs)
      if (known?.stillHolds() === true) {
        known.authentication.login?.assertStanding()
        return known.authentication
      }
      const refusalBefore = refused.get(key, nowMs)
      if (refusalBefore !== undefined) throw refusalBefore
      const shared = underWay.get(key)
      if (shared !== undefined) return shared
      const verification = verify(token, key).finally(() => underWay.delete(key))
      underWay.set(key, verification)
      return verification
    },
    async verifyLogout(text) {
      const token = parseToken(text, LOGOUT_TOKEN_TYPE)
      const issuer = issuers.get(token.issuer)
      if (issuer === undefined) throw unknownIssuer(token)
      return issuer.verifyLogout(token)
    },
    readiness: () => [...issuers.values()].map((issuer) => ({ issuer: issuer.url, ...issuer.readiness })),
    close() {
      for (const issuer of issuers.values()) issuer.close()
    },
  }
}

function unknownIssuer({ issuer }: UnverifiedToken): StatusError {
  return refusal('the token comes from an issuer that is not known here', { detail: `iss is ${excerpt(issuer)}` })
}

/** @throws StatusError as {@link Logins.enter}. */
function withLogin(verified: VerifiedToken, logins: Logins | undefined): VerifiedToken {
  const { authentication, signIn } = verified
  if (logins === undefined || signIn === undefined) return verified
  const login = logins.enter(authentication, signIn)
  return { ...verified, authentication: Object.freeze({ ...authentication, login }) }
}
