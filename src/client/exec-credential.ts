import { ClientError } from './client-error.ts'

/** The versions that kubectl 1.22 and later ask for. */
const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']

/**
 * Renders the answer of a credential plugin, in the version that kubectl asked for: one line of JSON.
 *
 * `execInfo` is the value of KUBERNETES_EXEC_INFO; without it the answer is in version v1.
 *
 * @throws ClientError `BadArgument` when kubectl asks for a version that we do not speak.
 * @see k8s.io/client-go `pkg/apis/clientauthentication/v1/types.go`
 */
export function renderExecCredential(
  credential: { readonly token: string; readonly expiresAtMs: number },
  execInfo: string | undefined,
): string {
  return `${JSON.stringify({
    kind: 'ExecCredential',
    apiVersion: execInfo === undefined ? VERSIONS[0] : requestedVersion(execInfo),
    spec: { interactive: false },
    status: {
      // metav1.Time has no fraction of a second.
      expirationTimestamp: `${new Date(credential.expiresAtMs).toISOString().slice(0, 19)}Z`,
      token: credential.token,
    },
  })}\n`
}

function requestedVersion(execInfo: string): string {
  let info: unknown
  try {
    info = JSON.parse(execInfo)
  } catch {
    throw new ClientError('BadArgument', 'KUBERNETES_EXEC_INFO is not JSON; it is set by kubectl, not by hand')
  }
  const version = typeof info === 'object' && info !== null && 'apiVersion' in info ? info.apiVersion : undefined
  if (typeof version === 'string' && VERSIONS.includes(version)) return version
  throw new ClientError(
    'BadArgument',
    `kubectl asks for a credential in version ${JSON.stringify(version)}; set the apiVersion of the exec entry in the kubeconfig to ${VERSIONS.join(' or ')}`,
  )
}
