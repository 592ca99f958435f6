/** The API groups that a portal serves, in the shapes that kubectl discovers. */

interface Resource {
  readonly name: string
  readonly singularName: string
  readonly kind: string
  readonly verbs: readonly string[]
}

const GROUPS = {
  'postern.dev': {
    version: 'v1alpha1',
    resources: [
      { name: 'logins', singularName: 'login', kind: 'Login', verbs: ['delete', 'get', 'list'] },
      { name: 'recordings', singularName: 'recording', kind: 'Recording', verbs: ['delete', 'get', 'list'] },
      { name: 'recordings/cast', singularName: '', kind: 'Recording', verbs: ['get'] },
      { name: 'sessions', singularName: 'session', kind: 'Session', verbs: ['delete', 'get', 'list'] },
      { name: 'sessions/follow', singularName: '', kind: 'Session', verbs: ['get'] },
      { name: 'sockets', singularName: 'socket', kind: 'Socket', verbs: ['get', 'list'] },
    ],
  },
  'authentication.k8s.io': {
    version: 'v1',
    resources: [{ name: 'selfsubjectreviews', singularName: '', kind: 'SelfSubjectReview', verbs: ['create'] }],
  },
} as const satisfies Record<string, { readonly version: string; readonly resources: readonly Resource[] }>

export type ApiGroupName = keyof typeof GROUPS

const apiGroupNames: readonly ApiGroupName[] = ['authentication.k8s.io', 'postern.dev']

/** A `v1` APIGroupList. */
export function apiGroupList(): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: apiGroupNames.map(describeGroup) }
}

/** A `v1` APIGroup. */
export function apiGroup(name: ApiGroupName): unknown {
  return { kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(name) }
}

/** A `v1` APIResourceList. */
export function apiResourceList(name: ApiGroupName): unknown {
  const { version, resources } = GROUPS[name]
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${name}/${version}`,
    resources: resources.map((resource) => ({ ...resource, namespaced: false })),
  }
}

/** `/apis/GROUP/VERSION`. */
export function groupVersionPath(name: ApiGroupName): string {
  return `/apis/${name}/${GROUPS[name].version}`
}

function describeGroup(name: ApiGroupName): { readonly name: string } & Record<string, unknown> {
  const version = { groupVersion: `${name}/${GROUPS[name].version}`, version: GROUPS[name].version }
  return { name, versions: [version], preferredVersion: version }
}
