import type { Authenticator } from '../identity/authenticator.ts'
import { forbidden } from '../kube/forbidden.ts'
import { hasImpersonation } from '../kube/impersonation.ts'
import { parseRequest } from '../kube/parsed-request.ts'
import { redactSecrets } from '../kube/redaction.ts'
import { requestHeaders } from '../kube/request-headers.ts'
import { requestInfoToAuthorize } from '../kube/session-kind.ts'
import { badRequest } from '../kube/status.ts'
import { parseUpgrade } from '../kube/upgrade.ts'
import type { Attributes, Authorizer } from '../policy/authorizer.ts'
import { describeDenial } from './denial.ts'
import { type Authenticated, Authorized, type Parsed, type Received } from './stages.ts'

/**
 * Admits a request through every door: parse, authenticate, authorize, in this order.
 *
 * @throws StatusError 400, 401, 403, 405 or 503. Nothing was sent upstream then.
 */
export async function admit(
  received: Received,
  authenticator: Authenticator,
  authorizer: Authorizer,
): Promise<Authorized> {
  const parsed = parse(received)
  const authenticated = await authenticate(parsed, authenticator)
  return authorize(authenticated, authorizer)
}

function parse(received: Received): Parsed {
  const { method, headers, audit, door } = received
  const request = parseRequest(method, received.rawTarget)
  audit.parsed(request.requestInfo, redactSecrets(request.target))
  const head = requestHeaders(method, headers, {
    auditId: audit.auditId,
    unframedLength: door === 'stream' && received.bodyFollows ? 'chunked' : 0,
  })
  const upgrade = door === 'upgrade' ? parseUpgrade(method, request.requestInfo, headers) : undefined
  if (door === 'upgrade' && upgrade === undefined) throw badRequest('the upgrade is malformed')
  return { ...received, request, infoToAuthorize: requestInfoToAuthorize(request.requestInfo), head, upgrade }
}

async function authenticate(parsed: Parsed, authenticator: Authenticator): Promise<Authenticated> {
  const answer = authenticator.authenticate(parsed.headers)
  const authentication = answer instanceof Promise ? await answer : answer
  parsed.audit.identified(authentication.subject)
  return { ...parsed, authentication }
}

function authorize(authenticated: Authenticated, authorizer: Authorizer): Authorized {
  const { infoToAuthorize: requestInfo, authentication, headers, audit } = authenticated
  const { subject } = authentication
  const decision = authorizer.authorize(attributesOf(authenticated, authenticated.receivedAtMs))
  audit.decided(decision)
  if (decision.effect !== 'allow') {
    throw forbidden(requestInfo, subject.username, describeDenial(requestInfo, decision))
  }
  if (hasImpersonation(headers)) {
    throw forbidden(requestInfo, subject.username, 'acting as somebody else (--as) is not passed on by this gateway')
  }
  return Authorized.from(authenticated, decision)
}

/** What the policy decides of a request on, as of a time in milliseconds since the epoch. */
export function attributesOf(authenticated: Authenticated, atMs: number): Attributes {
  return {
    subject: authenticated.authentication.subject,
    requestInfo: authenticated.infoToAuthorize,
    socket: authenticated.socket.name,
    sourceIP: authenticated.sourceIP,
    atMs,
  }
}
