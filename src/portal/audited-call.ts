import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import type { AuditEntry, AuditTrail } from '../audit/audit-trail.ts'
import type { Authentication, Authenticator } from '../identity/authenticator.ts'
import { sourceAddresses } from '../kube/forwarded-for.ts'
import { parseRequest } from '../kube/parsed-request.ts'
import type { Query } from '../kube/query.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { internalError, serviceUnavailable } from '../kube/status.ts'
import { toStatusError } from './respond.ts'

/** The client left before there was an answer, as in nginx. */
const CLIENT_CLOSED_REQUEST = 499

/** A request for our own objects: who asks what. The audit trail tells of it. */
export interface Call {
  readonly audit: AuditEntry
  readonly authentication: Authentication
  readonly requestInfo: RequestInfo
  readonly query: Query
  /** Address of the client, without port. */
  readonly sourceIP: string
}

/** Handlers that go around those of a part of the portal. */
export interface AuditedCalls {
  /** Goes before: parses the request and finds out who asks. */
  readonly begin: RequestHandler
  /** Goes behind, and hands the error on. */
  readonly refused: ErrorRequestHandler
  /** The call that a response answers. @throws StatusError 500 where {@link begin} did not go before. */
  readonly callOf: (response: ServerResponse) => Call
}

/**
 * Opens an audit entry for each request and closes it when its answer is out. Nothing is answered that the trail cannot
 * tell of.
 */
export function auditCalls(options: {
  readonly trail: AuditTrail
  readonly authenticator: Authenticator
  /** Whether an address is that of a proxy whose `X-Forwarded-For` is believed. */
  readonly isTrustedProxy: (address: string) => boolean
}): AuditedCalls {
  const { trail, authenticator, isTrustedProxy } = options
  const entries = new WeakMap<ServerResponse, AuditEntry>()
  const calls = new WeakMap<ServerResponse, Call>()
  return {
    async begin(request, response, next) {
      const sourceIPs = sourceAddresses(request.socket.remoteAddress ?? '', request.rawHeaders, isTrustedProxy)
      const audit = trail.begin({
        auditId: randomUUID(),
        requestURI: request.originalUrl,
        sourceIPs,
        userAgent: request.headers['user-agent'] ?? '',
        receivedAtMs: Date.now(),
      })
      entries.set(response, audit)
      response.set('Audit-Id', audit.auditId)
      response.once('close', () => {
        audit.complete({ code: response.headersSent ? response.statusCode : CLIENT_CLOSED_REQUEST })
      })
      const { requestInfo, query, target } = parseRequest(request.method, request.originalUrl)
      audit.parsed(requestInfo, target)
      if (!trail.writable) throw serviceUnavailable('the audit trail cannot be written, so nothing is let through')
      const authentication = await authenticator.authenticate(request.rawHeaders)
      audit.identified(authentication.subject)
      authentication.login?.seen(Date.now(), sourceIPs[0], request.headers['user-agent'] ?? '')
      calls.set(response, { audit, authentication, requestInfo, query, sourceIP: sourceIPs[0] })
      next()
    },
    refused(error, _request, response, next) {
      const { code, reason, message } = toStatusError(error).status
      entries.get(response)?.complete({ code, reason, message })
      next(error)
    },
    callOf(response) {
      const call = calls.get(response)
      if (call === undefined) throw internalError('the request was not audited')
      return call
    },
  }
}
