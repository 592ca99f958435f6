import type { ReadinessCheck } from '../gateway/ops-server.ts'
import type { IssuerReadiness } from '../identity/oidc-authenticator.ts'
import { firstLine } from './first-line.ts'

/**
 * What `/readyz` says of the issuers. One of them is enough, once each was asked: a new connector, which replaces another,
 * does not serve before it knows whom it can let in.
 *
 * @param asked the URLs of those that were.
 */
export function issuerChecks(readiness: readonly IssuerReadiness[], asked: ReadonlySet<string>): ReadinessCheck[] {
  return readiness.map(({ issuer, ready, reason }) => ({
    name: `issuer/${issuer}`,
    ready,
    reason: firstLine(reason),
    ...(asked.has(issuer) && { oneOf: 'issuers' }),
  }))
}
