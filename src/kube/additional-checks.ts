import type { ForwardAs } from './impersonation.ts'
import { headerValues, type RawHeaders } from './raw-headers.ts'
import type { RequestInfo } from './request-info.ts'

/**
 * Kinds of which a PUT makes an object that is not there, by group.
 *
 * @see k8s.io/kubernetes `pkg/registry/…/strategy.go`, AllowCreateOnUpdate (v1.36); custom resources have it false
 */
const CREATED_BY_UPDATE: ReadonlyMap<string, readonly string[]> = new Map([
  // The status of a service has the strategy of the service.
  ['', ['endpoints', 'events', 'limitranges', 'services', 'services/status']],
  ['coordination.k8s.io', ['leasecandidates', 'leases']],
  ['events.k8s.io', ['events']],
  ['node.k8s.io', ['runtimeclasses']],
  ['rbac.authorization.k8s.io', ['clusterrolebindings', 'clusterroles', 'rolebindings', 'roles']],
])

const RBAC_GROUP = 'rbac.authorization.k8s.io'
const CERTIFICATES_GROUP = 'certificates.k8s.io'
const DEVICES_GROUP = 'resource.k8s.io'
/** Verbs on signers that Kubernetes asks for a write, by `RESOURCE[/SUBRESOURCE]`. */
const SIGNER_VERBS: ReadonlyMap<string, string> = new Map([
  ['certificatesigningrequests/approval', 'approve'],
  ['certificatesigningrequests/status', 'sign'],
  ['clustertrustbundles', 'attest'],
  ['podcertificaterequests/status', 'sign'],
])
const POLICY_GROUP = 'postern.dev'
const POLICY_RESOURCES: ReadonlySet<string> = new Set(['clusterposternpolicies', 'posternpolicies'])
const WRITES: ReadonlySet<string> = new Set(['create', 'update', 'patch'])
const CHANGES: ReadonlySet<string> = new Set([...WRITES, 'delete', 'deletecollection'])
const NOTHING: readonly RequestInfo[] = []
const APPLY_PATCH = /^application\/apply-patch\+(?:yaml|cbor)\s*(?:;|$)/i

/**
 * What has to be allowed beside the request itself, as {@link creationChecks}, {@link policyChecks} and
 * {@link escalationChecks} say. Most requests need nothing.
 *
 * @param info as it is authorized.
 */
export function additionalChecks(info: RequestInfo, headers: RawHeaders, forwardAs: ForwardAs): readonly RequestInfo[] {
  if (!info.isResourceRequest || !CHANGES.has(info.verb)) return NOTHING
  return [
    ...creationChecks(info, headers),
    ...policyChecks(info),
    ...(forwardAs === 'connector' ? escalationChecks(info) : NOTHING),
  ]
}

/**
 * What kube-apiserver asks of its authorizer beside the request itself, because the request may make an object: `create`,
 * for a server-side apply and for a PUT of a kind that it creates.
 *
 * Whether the object is there is not looked up. Between a look and the request it could come or go; to ask for both
 * rights always has no such gap, and costs those who may only change existing objects a server-side apply.
 *
 * @see k8s.io/apiserver `pkg/endpoints/handlers/patch.go` and `update.go`, withAuthorization (v0.36)
 */
function creationChecks(info: RequestInfo, headers: RawHeaders): readonly RequestInfo[] {
  const creates =
    info.verb === 'patch'
      ? info.subresource === '' &&
        headerValues(headers, 'content-type').some((contentType) => APPLY_PATCH.test(contentType.trim()))
      : info.verb === 'update' && CREATED_BY_UPDATE.get(info.apiGroup)?.includes(withSubresource(info)) === true
  return creates ? [{ ...info, verb: 'create' }] : NOTHING
}

/**
 * What Kubernetes would ask so that nobody hands out more than they have. Where the connector's identity is the one that
 * it sees, it asks that of the connector, so we ask it of the person instead:
 *
 * - `escalate` for a write of a role, `bind` for a write of a binding;
 * - `approve`, `sign` and `attest` on signers, for what makes a certificate or an authority be believed;
 * - `create` of `certificatesigningrequests/nodeclient` for a request to sign, which says on its own that it was the
 *   connector's: when the connector has that right, one in the name of a node is approved without anybody's doing;
 * - what a write of the status of a resource claim may change: its binding, and the devices of any driver.
 *
 * The role that a binding names and the signer of a request stand in bodies and stored objects, which are not read: the
 * right has to be for any ClusterRole, and for any signer.
 *
 * @see k8s.io/kubernetes `pkg/registry/rbac/escalation_check.go`, `pkg/certauthorization/certauthorization.go`,
 * `plugin/pkg/admission/certificates`, `pkg/registry/certificates/podcertificaterequest/strategy.go`,
 * `pkg/controller/certificates/approver/sarapprove.go`, `pkg/registry/resource/utils.go` (v1.36)
 */
function escalationChecks(info: RequestInfo): readonly RequestInfo[] {
  if (!WRITES.has(info.verb)) return NOTHING
  if (info.apiGroup === RBAC_GROUP) return rbacChecks(info)
  if (info.apiGroup === DEVICES_GROUP) return deviceChecks(info)
  return info.apiGroup === CERTIFICATES_GROUP ? certificateChecks(info) : NOTHING
}

/**
 * What is asked so that nobody hands out more by a policy object than they have: `escalate` of the same, for a write of
 * one or its removal, since a rule may deny. Kubernetes knows nothing of it, so it is asked whoever Kubernetes sees.
 */
function policyChecks(info: RequestInfo): readonly RequestInfo[] {
  if (info.apiGroup !== POLICY_GROUP || info.subresource !== '') return NOTHING
  return POLICY_RESOURCES.has(info.resource) ? [{ ...info, verb: 'escalate' }] : NOTHING
}

function rbacChecks(info: RequestInfo): readonly RequestInfo[] {
  if (info.subresource !== '') return NOTHING
  if (info.resource === 'roles' || info.resource === 'clusterroles') return [{ ...info, verb: 'escalate' }]
  if (info.resource !== 'rolebindings' && info.resource !== 'clusterrolebindings') return NOTHING
  return [onAny(info, 'bind', 'clusterroles')]
}

function withSubresource({ resource, subresource }: RequestInfo): string {
  return subresource === '' ? resource : `${resource}/${subresource}`
}

/** Which drivers a status is about stands in its body. */
function deviceChecks(info: RequestInfo): readonly RequestInfo[] {
  if (withSubresource(info) !== 'resourceclaims/status') return NOTHING
  return [
    onAny(info, info.verb, 'resourceclaims', 'binding'),
    onAny(info, `arbitrary-node:${info.verb}`, 'resourceclaims', 'driver'),
  ]
}

function certificateChecks(info: RequestInfo): readonly RequestInfo[] {
  const what = withSubresource(info)
  const verb = SIGNER_VERBS.get(what)
  if (verb !== undefined) return [onAny(info, verb, 'signers')]
  // A patch may be an apply, which creates; an update of these never does.
  const requestsSigning = what === 'certificatesigningrequests' && info.verb !== 'update'
  return requestsSigning ? [onAny(info, 'create', 'certificatesigningrequests', 'nodeclient')] : NOTHING
}

/** The same group's, at the cluster scope, without a name: no rule that is limited to names allows it. */
function onAny(info: RequestInfo, verb: string, resource: string, subresource = ''): RequestInfo {
  return { ...info, verb, resource, subresource, namespace: '', name: '', parts: [resource] }
}
