/**
 * Kubernetes' own kinds that live outside namespaces, by API group; `*` is every kind of the group.
 *
 * @see `kubectl api-resources --namespaced=false` (v1.36)
 */
const CLUSTER_SCOPED: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    '': ['namespaces', 'nodes', 'persistentvolumes', 'componentstatuses'],
    'admissionregistration.k8s.io': ['*'],
    'apiextensions.k8s.io': ['*'],
    'apiregistration.k8s.io': ['*'],
    'certificates.k8s.io': ['certificatesigningrequests', 'clustertrustbundles'],
    'flowcontrol.apiserver.k8s.io': ['*'],
    'internal.apiserver.k8s.io': ['*'],
    'metrics.k8s.io': ['nodes'],
    'networking.k8s.io': ['ingressclasses', 'ipaddresses', 'servicecidrs'],
    'node.k8s.io': ['*'],
    'rbac.authorization.k8s.io': ['clusterroles', 'clusterrolebindings'],
    'resource.k8s.io': ['deviceclasses', 'resourceslices', 'devicetaintrules'],
    'scheduling.k8s.io': ['priorityclasses'],
    'storage.k8s.io': ['csidrivers', 'csinodes', 'storageclasses', 'volumeattachments', 'volumeattributesclasses'],
    'storagemigration.k8s.io': ['*'],
  }).map(([group, kinds]) => [group, new Set(kinds)]),
)

/**
 * Whether a kind is known to live outside namespaces. Custom kinds are never known, so a request for all of one is
 * taken for one over all namespaces.
 */
export function isClusterScoped(apiGroup: string, resource: string): boolean {
  const kinds = CLUSTER_SCOPED.get(apiGroup)
  return kinds !== undefined && (kinds.has(resource) || kinds.has('*'))
}

/** Whether a kind is known to live outside namespaces in one of these groups; undefined, or `*` among them, means any. */
export function areClusterScoped(apiGroups: readonly string[] | undefined, resource: string): boolean {
  if (apiGroups === undefined || apiGroups.includes('*'))
    return [...CLUSTER_SCOPED.values()].some((kinds) => resource !== '*' && kinds.has(resource))
  return resource !== '*' && apiGroups.some((group) => isClusterScoped(group, resource))
}
