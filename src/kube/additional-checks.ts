import { headerValues, type RawHeaders } from './raw-headers.ts'
import type { RequestInfo } from './request-info.ts'

/**
 * Kinds of which a PUT makes an object that is not there, by group.
 *
 * @see k8s.io/kubernetes `pkg/registry/…/strategy.go`, AllowCreateOnUpdate (v1.36); custom resources have it false
 */
const CREATED_BY_UPDATE: ReadonlyMap<string, readonly string[]> = new Map([
  ['', ['endpoints', 'events', 'limitranges', 'services']],
  ['coordination.k8s.io', ['leasecandidates', 'leases']],
  ['events.k8s.io', ['events']],
  ['node.k8s.io', ['runtimeclasses']],
  ['rbac.authorization.k8s.io', ['clusterrolebindings', 'clusterroles', 'rolebindings', 'roles']],
])

const RBAC_GROUP = 'rbac.authorization.k8s.io'
const WRITES: ReadonlySet<string> = new Set(['create', 'update', 'patch'])
const APPLY_PATCH = /^application\/apply-patch\+(?:yaml|cbor)\s*(?:;|$)/i

/**
 * What kube-apiserver asks of its authorizer beside the request itself, because the request may make an object: `create`,
 * for a server-side apply and for a PUT of a kind that it creates.
 *
 * Whether the object is there is not looked up. Between a look and the request it could come or go; to ask for both
 * rights always has no such gap, and costs those who may only change existing objects a server-side apply.
 *
 * @see k8s.io/apiserver `pkg/endpoints/handlers/patch.go` and `update.go`, withAuthorization (v0.36)
 */
export function creationChecks(info: RequestInfo, headers: RawHeaders): readonly RequestInfo[] {
  if (!info.isResourceRequest || info.subresource !== '') return []
  const creates =
    info.verb === 'patch'
      ? headerValues(headers, 'content-type').some((contentType) => APPLY_PATCH.test(contentType.trim()))
      : info.verb === 'update' && CREATED_BY_UPDATE.get(info.apiGroup)?.includes(info.resource) === true
  return creates ? [{ ...info, verb: 'create' }] : []
}

/**
 * What kube-apiserver would ask so that nobody grants more than they have: `escalate` for a write of a role, `bind` for
 * a write of a binding. Where the connector's identity is the one it sees, it asks about that, so we ask instead.
 *
 * The role that a binding names stands in its body, which is not read: the right to bind has to be for any
 * ClusterRole.
 *
 * @see k8s.io/kubernetes `pkg/registry/rbac/escalation_check.go` (v1.36)
 */
export function escalationChecks(info: RequestInfo): readonly RequestInfo[] {
  if (info.apiGroup !== RBAC_GROUP || info.subresource !== '' || !WRITES.has(info.verb)) return []
  if (info.resource === 'roles' || info.resource === 'clusterroles') return [{ ...info, verb: 'escalate' }]
  if (info.resource !== 'rolebindings' && info.resource !== 'clusterrolebindings') return []
  return [{ ...info, verb: 'bind', resource: 'clusterroles', namespace: '', name: '', parts: ['clusterroles'] }]
}
