import type { Authentication, Authenticator } from '../identity/authenticator.ts'
import { forbidden } from '../kube/forbidden.ts'
import { additionalChecks } from '../kube/additional-checks.ts'
import { parseAssumedIdentity } from '../kube/assumed-identity.ts'
import { parseRequest } from '../kube/parsed-request.ts'
import { headerValues } from '../kube/raw-headers.ts'
import { requestHeaders } from '../kube/request-headers.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { requestInfoToAuthorize } from '../kube/session-kind.ts'
import { badRequest } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { parseUpgrade } from '../kube/upgrade.ts'
import type { Attributes, Authorizer, Decision } from '../policy/authorizer.ts'
import { describeDenial } from './denial.ts'
import { type Authenticated, Authorized, type Parsed, type Received } from './stages.ts'

/**
 * Admits a request through every door: parse, authenticate, authorize, in this order.
 *
 * @param onAuthenticated told who sends it, whether it is then allowed or not.
 * @throws StatusError 400, 401, 403, 405 or 503. Nothing was sent upstream then.
 */
export async function admit(
  received: Received,
  authenticator: Authenticator,
  authorizer: Authorizer,
  onAuthenticated: (authentication: Authentication) => void,
): Promise<Authorized> {
  const parsed = parse(received)
  const sent = await authenticate(parsed, authenticator)
  onAuthenticated(sent.authentication)
  return authorize(assume(sent, authorizer), authorizer)
}

function parse(received: Received): Parsed {
  const { method, headers, audit, door } = received
  const request = parseRequest(method, received.rawTarget)
  audit.parsed(request.requestInfo, request.target)
  const head = requestHeaders(method, headers, {
    auditId: audit.auditId,
    unframedLength: door === 'stream' && received.bodyFollows ? 'chunked' : 0,
  })
  const upgrade = door === 'upgrade' ? parseUpgrade(method, request.requestInfo, headers) : undefined
  if (door === 'upgrade' && upgrade === undefined) throw badRequest('the upgrade is malformed')
  return { ...received, request, infoToAuthorize: requestInfoToAuthorize(request.requestInfo), head, upgrade }
}

async function authenticate(parsed: Parsed, authenticator: Authenticator): Promise<Authenticated> {
  const answer = authenticator.authenticate(parsed.headers, parsed.certificate)
  const authentication = answer instanceof Promise ? await answer : answer
  parsed.audit.identified(authentication.subject)
  const [userAgent = ''] = headerValues(parsed.headers, 'user-agent')
  authentication.login?.seen(parsed.receivedAtMs, parsed.sourceIP, userAgent)
  return { ...parsed, authentication, assumption: NOTHING, subject: authentication.subject }
}

const NOTHING: readonly RequestInfo[] = []

/** Lets the sender be somebody else where they ask to, and a rule allows each piece of that identity. */
function assume(authenticated: Authenticated, authorizer: Authorizer): Authenticated {
  const assumed = parseAssumedIdentity(authenticated.headers)
  if (assumed === null) return authenticated
  for (const check of assumed.checks) requireAllowed(authenticated, check, authorizer)
  authenticated.audit.assumed(assumed.subject)
  return { ...authenticated, assumption: assumed.checks, subject: assumed.subject }
}

function authorize(authenticated: Authenticated, authorizer: Authorizer): Authorized {
  const { infoToAuthorize, headers, socket } = authenticated
  const decision = requireAllowed(authenticated, infoToAuthorize, authorizer)
  for (const check of additionalChecks(infoToAuthorize, headers, socket.forwardAs)) {
    requireAllowed(authenticated, check, authorizer)
  }
  authenticated.audit.decided(decision)
  return Authorized.from(authenticated, decision)
}

/** @throws StatusError 403, which the audit entry then tells of. */
function requireAllowed(authenticated: Authenticated, info: RequestInfo, authorizer: Authorizer): Decision {
  const { subject, audit, receivedAtMs } = authenticated
  const decision = authorizer.authorize({ ...attributesOf(authenticated, receivedAtMs), requestInfo: info })
  if (decision.effect === 'allow') return decision
  audit.decided(decision)
  throw forbidden(info, subject.username, describeDenial(info, decision))
}

/**
 * What a policy says by now of a request that was admitted: the first denial of all that had to be allowed for it, else
 * what allows it.
 *
 * @param sender who its sender is by now.
 * @param atMs milliseconds since the epoch.
 */
export function decideAgain(
  authenticated: Authenticated,
  sender: Subject,
  authorizer: Authorizer,
  atMs: number,
): Decision {
  const { assumption, infoToAuthorize, headers, socket } = authenticated
  const attributes = attributesOf(authenticated, atMs)
  for (const requestInfo of assumption) {
    const decision = authorizer.authorize({ ...attributes, subject: sender, requestInfo })
    if (decision.effect !== 'allow') return decision
  }
  const subject = assumption.length === 0 ? sender : authenticated.subject
  const own = authorizer.authorize({ ...attributes, subject })
  if (own.effect !== 'allow') return own
  for (const requestInfo of additionalChecks(infoToAuthorize, headers, socket.forwardAs)) {
    const decision = authorizer.authorize({ ...attributes, subject, requestInfo })
    if (decision.effect !== 'allow') return decision
  }
  return own
}

/** What the policy decides of a request on, as of a time in milliseconds since the epoch. */
function attributesOf(authenticated: Authenticated, atMs: number): Attributes {
  return {
    subject: authenticated.subject,
    requestInfo: authenticated.infoToAuthorize,
    socket: authenticated.socket.name,
    sourceIP: authenticated.sourceIP,
    atMs,
  }
}
