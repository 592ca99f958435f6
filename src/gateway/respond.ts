import type { AuditEntry } from '../audit/audit-trail.ts'
import type { AuditedOutcome } from '../audit/event.ts'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { type Status, StatusError, failure } from '../kube/status.ts'
import type { Reply } from './reply.ts'

/** An answer that Postern gives itself. */
export interface OwnAnswer {
  readonly statusCode: number
  readonly headers: RawHeaders
  readonly body: Buffer
}

/** What a thrown value tells the client. What is no `StatusError` is a bug, and is told as a 500 without particulars. */
export function toStatus(error: unknown): Status {
  return error instanceof StatusError
    ? error.status
    : failure(500, 'InternalError', 'Internal error occurred: the gateway failed to handle the request')
}

/** A `Status` as an answer, with the audit id in its message for people to quote. */
export function renderRefusal(status: Status, auditId: string): OwnAnswer {
  const named: Status = { ...status, message: `${status.message} (audit id ${auditId})` }
  const body = Buffer.from(JSON.stringify(named) + '\n')
  const headers = [
    'Audit-Id',
    auditId,
    'Cache-Control',
    'no-cache, private',
    'Content-Type',
    'application/json',
    'Content-Length',
    String(body.length),
    'X-Content-Type-Options',
    'nosniff',
  ]
  if (status.code === 401) headers.push('WWW-Authenticate', 'Bearer realm="postern"')
  if (status.details?.retryAfterSeconds !== undefined) {
    headers.push('Retry-After', String(status.details.retryAfterSeconds))
  }
  return { statusCode: status.code, headers, body }
}

/**
 * Refuses a request, and closes its account. Once a head is out the reply is broken off instead, for an
 * error must never look like the end of a whole answer.
 */
export function refuse(reply: Reply, error: unknown, audit: AuditEntry, unreadBody: boolean): void {
  const status = toStatus(error)
  audit.complete(refusalOutcome(status))
  if (reply.headSent) {
    reply.destroy()
    return
  }
  const answer = renderRefusal(status, audit.auditId)
  try {
    if (unreadBody) reply.leaveBodyUnread()
    reply.head(answer.statusCode, answer.headers)
    reply.write(answer.body)
    if (unreadBody) reply.endUnread()
    else reply.end()
  } catch {
    // The client is gone, or its connection is past use: there is nobody to tell.
    reply.destroy()
  }
}

/** A refusal in an audit event. */
export function refusalOutcome(status: Status): AuditedOutcome {
  return { code: status.code, reason: status.reason, message: status.message }
}
