import type { IncomingMessage } from 'node:http'
import { firstValue, type Query } from '../kube/query.ts'
import { badRequest } from '../kube/status.ts'

/** Of the reason for ending or revoking something, in UTF-16 units. */
const MAX_REASON_LENGTH = 256

/**
 * Refuses what asks a DELETE to do something else, above all nothing (a dry run): we have none of it, and to ignore it
 * would end or delete what was to be kept.
 *
 * @throws StatusError 400.
 * @see k8s.io/apimachinery `pkg/apis/meta/v1/types.go`, DeleteOptions
 */
export function refuseDeleteOptions({ headers }: IncomingMessage, query: Query): void {
  if (firstValue(query, 'dryRun') !== undefined) throw badRequest('there is no dry run here')
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0')
    throw badRequest('a DELETE takes no body here; the reason goes into the query')
}

/**
 * The reason that a DELETE gives, empty without one.
 *
 * @throws StatusError 400.
 */
export function reasonOf(query: Query): string {
  const reason = firstValue(query, 'reason') ?? ''
  if (reason.length > MAX_REASON_LENGTH) throw badRequest(`the reason is longer than ${MAX_REASON_LENGTH} characters`)
  return reason
}
