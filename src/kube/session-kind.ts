import type { RequestInfo } from './request-info.ts'

/** What a session does inside a pod. */
export type SessionKind = 'exec' | 'attach' | 'portforward'

/** The kind of session that a request opens, whatever its method and protocol; undefined for any other request. */
export function sessionKind(info: RequestInfo): SessionKind | undefined {
  if (info.resource !== 'pods' || info.apiGroup !== '') return undefined
  const { subresource } = info
  return subresource === 'exec' || subresource === 'attach' || subresource === 'portforward' ? subresource : undefined
}

/**
 * What to authorize for a request. A session is one action, `create`, whatever its method: WebSocket clients
 * have to GET what SPDY clients POST, and a `get` of `pods/exec` runs commands all the same. Every other
 * request is authorized as it stands, and one with the empty verb keeps it.
 *
 * @see KEP-4006; k8s.io/kubernetes gate AuthorizePodWebsocketUpgradeCreatePermission (on since 1.35)
 */
export function requestInfoToAuthorize(info: RequestInfo): RequestInfo {
  if (info.verb === '' || info.verb === 'create' || sessionKind(info) === undefined) return info
  return { ...info, verb: 'create' }
}
