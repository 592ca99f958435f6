import type { Upstream } from '../upstream.ts'
import type { KubernetesObject } from './access.ts'
import { AWS_AUTH } from './aws-auth-file.ts'
import { callCluster, type ClusterAnswer } from './cluster-call.ts'
import { AwsAuthError } from './role-mapping.ts'

const CONFIG_MAPS = `/api/v1/namespaces/${AWS_AUTH.namespace}/configmaps`
/** Who has written a field, as server-side apply tells it. */
const FIELD_MANAGER = 'postern-eks'

/** The aws-auth ConfigMap of a cluster as it was read. */
export interface PresentAwsAuth {
  /** Empty when there is none. */
  readonly mapRoles: string
  /** Empty when the ConfigMap does not exist. */
  readonly resourceVersion: string
}

/** @throws AwsAuthError when the cluster does not show it; StatusError for the network */
export async function readAwsAuth(cluster: Pick<Upstream, 'send'>): Promise<PresentAwsAuth> {
  const answer = await callCluster(cluster, { method: 'GET', target: `${CONFIG_MAPS}/${AWS_AUTH.name}` })
  if (answer.statusCode === 404) return { mapRoles: '', resourceVersion: '' }
  if (answer.statusCode !== 200) throw refused('get configmaps aws-auth in kube-system', answer)
  const { metadata, data } = answer.body as {
    readonly metadata?: { readonly resourceVersion?: unknown }
    readonly data?: Readonly<Record<string, unknown>> | null
  }
  const mapRoles = data?.['mapRoles'] ?? ''
  const resourceVersion = metadata?.resourceVersion
  if (typeof mapRoles !== 'string' || typeof resourceVersion !== 'string') {
    throw new AwsAuthError('the cluster gave an answer that is no ConfigMap')
  }
  return { mapRoles, resourceVersion }
}

/**
 * Writes `mapRoles` and nothing else, and only when nobody has changed the ConfigMap since it was read.
 *
 * @throws AwsAuthError when somebody has, or the cluster does not let us; StatusError for the network
 */
export async function writeAwsAuth(
  cluster: Pick<Upstream, 'send'>,
  { resourceVersion }: PresentAwsAuth,
  mapRoles: string,
): Promise<void> {
  const query = `?fieldManager=${FIELD_MANAGER}`
  const answer =
    resourceVersion === ''
      ? await callCluster(cluster, {
          method: 'POST',
          target: CONFIG_MAPS + query,
          body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...AWS_AUTH }, data: { mapRoles } },
        })
      : await callCluster(cluster, {
          method: 'PATCH',
          target: `${CONFIG_MAPS}/${AWS_AUTH.name}${query}`,
          contentType: 'application/merge-patch+json',
          body: { metadata: { resourceVersion }, data: { mapRoles } },
        })
  if (answer.statusCode === 409)
    throw new AwsAuthError('somebody else has just changed aws-auth; nothing was written, run this again')
  if (answer.statusCode >= 300) throw refused('write configmaps aws-auth in kube-system', answer)
}

/**
 * Server-side apply of cluster-scoped RBAC objects; fields that others manage are not taken from them.
 *
 * @throws AwsAuthError when the cluster does not let us; StatusError for the network
 */
export async function applyRights(
  cluster: Pick<Upstream, 'send'>,
  objects: readonly KubernetesObject[],
): Promise<void> {
  for (const object of objects) {
    const plural = `${object.kind.toLowerCase()}s`
    const answer = await callCluster(cluster, {
      method: 'PATCH',
      target: `/apis/${object.apiVersion}/${plural}/${object.metadata.name}?fieldManager=${FIELD_MANAGER}`,
      contentType: 'application/apply-patch+yaml',
      body: object,
    })
    if (answer.statusCode >= 300) throw refused(`apply ${plural} ${object.metadata.name}`, answer)
  }
}

function refused(what: string, { statusCode, message }: ClusterAnswer): AwsAuthError {
  if (statusCode === 401)
    return new AwsAuthError(`the cluster does not know these AWS credentials; use those of somebody whom it does`)
  return new AwsAuthError(`the cluster answered ${statusCode} to ${what}${message === '' ? '' : `: ${message}`}`)
}
