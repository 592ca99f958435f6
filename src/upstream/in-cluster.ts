import { isIP } from 'node:net'
import { join } from 'node:path'
import { buildEndpoint, type Endpoint } from './endpoint.ts'
import { Problems } from './endpoint-error.ts'
import { FilesRead } from './small-file.ts'

/** Where the kubelet puts a pod's service account. */
const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * The API server of the cluster that the connector runs in, with the service account of its pod.
 *
 * @throws EndpointError
 * @see k8s.io/client-go `rest/config.go`, InClusterConfig
 */
export async function loadInCluster(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  directory = SERVICE_ACCOUNT_DIRECTORY,
  files = new FilesRead(),
): Promise<Endpoint> {
  const problems = new Problems('in-cluster')
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? ''
  if (host === '' || port === '') {
    problems.add('KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is not a pod of a cluster')
    throw problems.toError()
  }
  const endpoint = await buildEndpoint(
    {
      server: `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
      certificateAuthority: { file: join(directory, 'ca.crt') },
      token: { file: join(directory, 'token') },
    },
    problems,
    files,
  )
  if (endpoint === undefined) throw problems.toError()
  return endpoint
}
