import { stringify } from 'yaml'
import type { RoleMapping } from './role-mapping.ts'
import { formatRoleARN, roleARNCommand, type RoleARN, type SeenRole, withoutPath } from './role-arn.ts'

/** What the connector's role may be in a cluster. */
export type Access =
  /** `system:masters`, which no RBAC holds back. */
  | { readonly kind: 'admin' }
  /** A group that the cluster gives rights to already. */
  | { readonly kind: 'group'; readonly group: string }
  /** A group of its own that may act as people who are members of these groups, and nothing else. */
  | { readonly kind: 'least'; readonly groups: readonly string[] }

/** Name of the user, and of the group and ClusterRole of least rights. */
const CONNECTOR_USER = 'postern'
const LEAST_GROUP = 'postern-connector'

/** Text that a shell and a cluster both take as it is. */
const PLAIN = /^[A-Za-z0-9_./:@-]+$/

/** The entry of aws-auth, whose ARN has no path since the cluster does not see one. */
export function roleMapping(role: SeenRole, access: Access): RoleMapping {
  return { rolearn: formatRoleARN(withoutPath(role)), username: CONNECTOR_USER, groups: [groupOf(access)] }
}

function groupOf(access: Access): string {
  return { admin: 'system:masters', group: 'group' in access ? access.group : '', least: LEAST_GROUP }[access.kind]
}

/** Kubernetes objects, as `kubectl apply` takes them. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly [field: string]: unknown
}

/** What has to be in the cluster for the access to give any rights; empty when that is not ours to make. */
export function rightsOf(access: Access): readonly KubernetesObject[] {
  if (access.kind !== 'least') return []
  const rbac = 'rbac.authorization.k8s.io'
  const impersonate = (apiGroup: string, resource: string, resourceNames?: readonly string[]): object => ({
    apiGroups: [apiGroup],
    resources: [resource],
    verbs: ['impersonate'],
    ...(resourceNames !== undefined && { resourceNames }),
  })
  return [
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: LEAST_GROUP },
      rules: [
        impersonate('', 'users'),
        ...(access.groups.length === 0 ? [] : [impersonate('', 'groups', access.groups)]),
        impersonate('authentication.k8s.io', 'uids'),
      ],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: LEAST_GROUP },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: LEAST_GROUP },
      subjects: [{ apiGroup: rbac, kind: 'Group', name: LEAST_GROUP }],
    },
  ]
}

/** The objects as one YAML text. */
export function renderObjects(objects: readonly KubernetesObject[]): string {
  return objects.map((object) => stringify(object)).join('---\n')
}

/**
 * Command lines that give the same access by an access entry, which clusters in mode `API` have in place of aws-auth.
 * There the ARN keeps its path; where that is not known, the lines ask IAM for it.
 *
 * @throws RangeError for a group that access entries do not take
 */
export function accessEntryCommands(
  role: RoleARN | SeenRole,
  access: Access,
  cluster: { readonly name: string; readonly region: string },
): readonly string[] {
  const principal = 'path' in role ? quoted(formatRoleARN(role)) : `"$(${roleARNCommand(role)})"`
  const common = `--cluster-name ${quoted(cluster.name)} --region ${quoted(cluster.region)} --principal-arn ${principal}`
  const create = `aws eks create-access-entry ${common} --type STANDARD --username ${CONNECTOR_USER}`
  if (access.kind === 'admin') {
    const policy = `arn:${role.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`
    return [create, `aws eks associate-access-policy ${common} --policy-arn ${policy} --access-scope type=cluster`]
  }
  const group = groupOf(access)
  if (/^(?:system|eks|aws|amazon|iam):/.test(group)) {
    throw new RangeError(`access entries take no group like ${group}; bind a group of another name`)
  }
  return [`${create} --kubernetes-groups ${quoted(group)}`]
}

function quoted(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
