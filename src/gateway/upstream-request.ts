import { impersonationHeaders } from '../kube/impersonation.ts'
import { isLongRunning } from '../kube/long-running.ts'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { responseHeaders } from '../kube/response-headers.ts'
import { upgradeHeaders } from '../kube/upgrade.ts'
import type { UpstreamRequest } from '../upstream/upstream.ts'
import type { Authorized } from './stages.ts'

/**
 * The request that goes upstream: the target that was authorized, the headers of the allow-list, and the subject's
 * name where the socket forwards as the subject.
 *
 * @param responseHeadTimeoutMs does not hold for what runs long.
 * @throws StatusError 403 for a subject that cannot be impersonated.
 */
export function requestToUpstream({ authenticated }: Authorized, responseHeadTimeoutMs: number): UpstreamRequest {
  const { request, head, upgrade, socket, subject } = authenticated
  const headers = [...head.headers]
  if (upgrade !== undefined) headers.push(...upgradeHeaders(upgrade))
  if (socket.forwardAs === 'subject') headers.push(...impersonationHeaders(subject))
  const unbounded = upgrade === undefined && isLongRunning(request.requestInfo)
  return {
    method: request.method,
    target: request.target,
    headers,
    bodyLength: upgrade === undefined ? head.bodyLength : 0,
    responseHeadTimeoutMs: unbounded ? Infinity : responseHeadTimeoutMs,
  }
}

/**
 * The head that goes back to the client. What comes from behind `proxy` may be any page of anybody; it must not act
 * in this origin's name.
 */
export function responseToClient({ authenticated }: Authorized, received: RawHeaders): string[] {
  const own = ['Audit-Id', authenticated.audit.auditId]
  const { requestInfo } = authenticated.request
  if (requestInfo.isResourceRequest && requestInfo.subresource === 'proxy') {
    own.push('Content-Security-Policy', 'sandbox', 'X-Content-Type-Options', 'nosniff')
  }
  return responseHeaders(received, own)
}
