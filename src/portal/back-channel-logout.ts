import { randomUUID } from 'node:crypto'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import type { AuditEntry, AuditTrail } from '../audit/audit-trail.ts'
import type { BackChannelLogout } from '../identity/logins/back-channel-logout.ts'
import { sourceAddresses } from '../kube/forwarded-for.ts'
import { parseRequest } from '../kube/parsed-request.ts'
import { badRequest, StatusError, tooManyRequests } from '../kube/status.ts'
import { toStatusError } from './respond.ts'

/** What issuers are told to call. */
export const BACK_CHANNEL_LOGOUT_PATH = '/backchannel-logout'

const FORM = 'application/x-www-form-urlencoded'
/** A logout token has half a dozen claims. */
const MAX_BODY_BYTES = 32 * 1024
/** Tokens that are verified at a time. Anybody may send some. */
const MAX_UNDER_WAY = 32
/** When an issuer that was one too many may try again, in seconds. */
const RETRY_AFTER_SECONDS = 5

export interface BackChannelLogoutSurroundings {
  readonly trail: AuditTrail
  /** Whether an address is that of a proxy whose `X-Forwarded-For` is believed. */
  readonly isTrustedProxy: (address: string) => boolean
  /** Told of failures of ours, whose particulars no issuer sees. */
  readonly report: (error: Error) => void
}

/**
 * Handlers of a POST by which an issuer says that a session there has ended: a form with a `logout_token`. It comes with
 * no credential, so that it is worth what the token is. Answers 200 without a body, also when no login was known; 400
 * with OAuth's `error` and `error_description`; or 429. Each leaves an audit event.
 *
 * It ends logins while the audit trail cannot be written, too: what it takes away, nobody should have.
 *
 * @see OpenID Connect Back-Channel Logout 1.0 sections 2.5, 2.7 and 2.8
 */
export function backChannelLogoutHandlers(
  logout: BackChannelLogout,
  { trail, isTrustedProxy, report }: BackChannelLogoutSurroundings,
): readonly (RequestHandler | ErrorRequestHandler)[] {
  const entries = new WeakMap<object, AuditEntry>()
  let underWay = 0

  const begin: RequestHandler = (request, response, next) => {
    const userAgent = request.headers['user-agent'] ?? ''
    const audit = trail.begin({
      auditId: randomUUID(),
      requestURI: request.originalUrl,
      sourceIPs: sourceAddresses(request.socket.remoteAddress ?? '', request.rawHeaders, isTrustedProxy),
      userAgent,
      receivedAtMs: Date.now(),
    })
    entries.set(response, audit)
    response.set('Audit-Id', audit.auditId)
    response.once('close', () => {
      audit.complete({ code: response.statusCode })
    })
    const { requestInfo, target } = parseRequest(request.method, request.originalUrl)
    audit.parsed(requestInfo, target)
    next()
  }
  const end: RequestHandler = async (request, response) => {
    const token = tokenIn(request.body)
    if (underWay >= MAX_UNDER_WAY)
      throw tooManyRequests(`${MAX_UNDER_WAY} logout tokens are being verified already`, RETRY_AFTER_SECONDS)
    underWay += 1
    try {
      const { issuer, logins } = await logout.end(token)
      const audit = entries.get(response)
      audit?.identified({ username: issuer, uid: '', groups: [], extra: {} })
      audit?.loggedOut(logins.map(({ id }) => id))
    } finally {
      underWay -= 1
    }
    response.status(200).end()
  }
  // Express tells an error handler by its four parameters.
  const refused: ErrorRequestHandler = (error, _request, response, _next) => {
    const { status } = bodyRefusal(error) ?? toStatusError(error)
    if (status.code >= 500) report(error instanceof Error ? error : new Error(String(error)))
    const code = status.code === 429 ? 429 : 400
    entries.get(response)?.complete({ code, reason: status.reason, message: status.message })
    if (code === 429) response.set('Retry-After', String(RETRY_AFTER_SECONDS))
    response.set('Connection', 'close').status(code)
    response.json({
      error: status.code === 400 ? 'invalid_request' : 'temporarily_unavailable',
      error_description: status.message,
    })
  }
  return [begin, express.text({ type: FORM, limit: MAX_BODY_BYTES, inflate: false }), end, refused]
}

/** @throws StatusError 400 unless the form holds one logout token. */
function tokenIn(body: unknown): string {
  const tokens = typeof body === 'string' ? new URLSearchParams(body).getAll('logout_token') : []
  const [token = ''] = tokens
  if (tokens.length !== 1 || token === '') throw badRequest(`the body is no ${FORM} with one logout_token`)
  return token
}

/** What the reader of the body says of one that is too long, compressed, broken off or in another character set. */
function bodyRefusal(error: unknown): StatusError | null {
  const isClients =
    error instanceof Error && 'statusCode' in error && Number(error.statusCode) >= 400 && Number(error.statusCode) < 500
  return isClients && !(error instanceof StatusError) ? badRequest('the body cannot be read', { cause: error }) : null
}
