import type { SessionFacts } from '../audit/recording/session-facts.ts'
import { firstValue, isTrue } from '../kube/query.ts'
import { headerValues } from '../kube/raw-headers.ts'
import type { SessionKind } from '../kube/session-kind.ts'
import type { Upgrade } from '../kube/upgrade.ts'
import type { Authorized } from './stages.ts'

/** What is known of a session before it opens. */
export function sessionFacts(
  { authenticated, decision }: Authorized,
  parts: {
    readonly id: string
    readonly kind: SessionKind
    readonly upgrade: Upgrade
    readonly record: SessionFacts['record']
  },
): SessionFacts {
  const { request, socket, authentication, subject, audit, sourceIP, headers, receivedAtMs } = authenticated
  const { query, requestInfo } = request
  const sender = authentication.subject
  return {
    id: parts.id,
    kind: parts.kind,
    socket: socket.name,
    namespace: requestInfo.namespace,
    pod: requestInfo.name,
    container: firstValue(query, 'container') ?? '',
    command: query.filter(({ name }) => name === 'command').map(({ value }) => value),
    tty: isTrue(query, 'tty'),
    stdin: isTrue(query, 'stdin'),
    protocol: parts.upgrade.protocol,
    subprotocol: '',
    username: sender.username,
    groups: sender.groups,
    impersonatedUsername: subject === sender ? '' : subject.username,
    sourceIP,
    userAgent: headerValues(headers, 'user-agent')[0] ?? '',
    auditId: audit.auditId,
    rule: decision.rule,
    policyRevision: decision.policyRevision,
    record: parts.record,
    startedAtMs: receivedAtMs,
  }
}
