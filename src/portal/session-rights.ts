import type { SessionFacts } from '../audit/recording/session-facts.ts'
import { forbidden } from '../kube/forbidden.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { notFound } from '../kube/status.ts'
import type { Attributes, Decision } from '../policy/authorizer.ts'
import { missingRule } from '../policy/missing-rule.ts'
import type { Call } from './audited-call.ts'

/** What the policies say now. Pure and synchronous. */
export type Authorize = (attributes: Attributes) => Decision

/** What is asked of a session, of the recording of one, or of a login. */
export interface SessionAction {
  readonly resource: 'sessions' | 'recordings' | 'logins'
  /** Empty for the object itself. */
  readonly subresource: '' | 'follow' | 'cast'
  readonly verb: 'get' | 'list' | 'delete'
  /** Whether whoever opened the session, or signed in, needs no rule for it. */
  readonly ownersRight: boolean
}

/** The facts that a decision depends on. Logins have no socket and no namespace. */
export type DecisiveFacts = Pick<SessionFacts, 'id' | 'socket' | 'namespace' | 'username'>

/**
 * Decides an action as if the object were one of its session's socket and namespace. What the policies do not allow is
 * allowed all the same where it is the owner's right; the decision then has no rule.
 */
export function decideAction(action: SessionAction, facts: DecisiveFacts, call: Call, authorize: Authorize): Decision {
  const { subject } = call.authentication
  const decision = authorize({
    subject,
    requestInfo: infoOf(action, facts, call.requestInfo),
    socket: facts.socket,
    sourceIP: call.sourceIP,
    atMs: Date.now(),
  })
  if (decision.effect === 'allow' || !action.ownersRight || facts.username !== subject.username) return decision
  const { policyRevision } = decision
  return {
    effect: 'allow',
    rule: '',
    location: '',
    policyRevision,
    reason: `the ${action.resource === 'logins' ? 'login' : 'session'} is their own`,
    nearest: [],
    obligations: {},
  }
}

/**
 * Requires that an action is allowed, and tells the audit trail what was decided.
 *
 * @throws StatusError 403, or 404 as for an object that does not exist to whom may not even see it.
 */
export function requireAction(action: SessionAction, facts: DecisiveFacts, call: Call, authorize: Authorize): void {
  const decision = decideAction(action, facts, call, authorize)
  if (facts.socket !== '') call.audit.routed(facts.socket)
  call.audit.decided(decision)
  if (decision.effect === 'allow') return
  if (!isVisible(action.resource, facts, call, authorize)) throw notFound('postern.dev', action.resource, facts.id)
  const info = infoOf(action, facts, call.requestInfo)
  const reason = [decision.reason, ...(decision.effect === 'deny' ? [] : [`a rule that would: ${missingRule(info)}`])]
  const { username } = call.authentication.subject
  throw forbidden(info, username, `${reason.join('; ')} (audit id ${call.audit.auditId})`)
}

function isVisible(
  resource: SessionAction['resource'],
  facts: DecisiveFacts,
  call: Call,
  authorize: Authorize,
): boolean {
  return (['get', 'list'] as const).some((verb) => {
    const seeing = { resource, subresource: '', verb, ownersRight: true } as const
    return decideAction(seeing, facts, call, authorize).effect === 'allow'
  })
}

function infoOf({ resource, subresource, verb }: SessionAction, facts: DecisiveFacts, asked: RequestInfo): RequestInfo {
  const { id: name, namespace } = facts
  return {
    ...asked,
    isResourceRequest: true,
    apiGroup: 'postern.dev',
    verb,
    namespace,
    resource,
    subresource,
    name,
    parts: subresource === '' ? [resource, name] : [resource, name, subresource],
    fieldSelector: '',
    labelSelector: '',
  }
}
