import { ClientError } from './client-error.ts'

/** What kubectl tells a credential plugin. */
export interface ExecInfo {
  /** The version that the answer has to have. */
  readonly apiVersion: string
  /** True when a person is there: kubectl stands at a terminal, and the kubeconfig lets the plugin use it. */
  readonly interactive: boolean
}

/** The versions that kubectl 1.22 and later ask for. */
const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']

/**
 * Reads the value of KUBERNETES_EXEC_INFO. Without it, the answer is in version v1, and nobody is there.
 *
 * @throws ClientError `BadArgument` when kubectl asks for a version that we do not speak.
 * @see k8s.io/client-go `pkg/apis/clientauthentication/v1/types.go`
 */
export function readExecInfo(text: string | undefined): ExecInfo {
  if (text === undefined) return { apiVersion: 'client.authentication.k8s.io/v1', interactive: false }
  const info = parse(text)
  const version = 'apiVersion' in info ? info.apiVersion : undefined
  if (typeof version !== 'string' || !VERSIONS.includes(version))
    throw new ClientError(
      'BadArgument',
      `kubectl asks for a credential in version ${JSON.stringify(version)}; set the apiVersion of the exec entry in the kubeconfig to ${VERSIONS.join(' or ')}`,
    )
  const spec = 'spec' in info && typeof info.spec === 'object' && info.spec !== null ? info.spec : {}
  return { apiVersion: version, interactive: 'interactive' in spec && spec.interactive === true }
}

/** Renders the answer of a credential plugin: one line of JSON. */
export function renderExecCredential(
  credential: { readonly token: string; readonly expiresAtMs: number },
  { apiVersion }: ExecInfo,
): string {
  return `${JSON.stringify({
    kind: 'ExecCredential',
    apiVersion,
    spec: { interactive: false },
    status: {
      // metav1.Time has no fraction of a second.
      expirationTimestamp: `${new Date(credential.expiresAtMs).toISOString().slice(0, 19)}Z`,
      token: credential.token,
    },
  })}\n`
}

function parse(text: string): object {
  try {
    const info: unknown = JSON.parse(text)
    return typeof info === 'object' && info !== null ? info : {}
  } catch {
    throw new ClientError('BadArgument', 'KUBERNETES_EXEC_INFO is not JSON; it is set by kubectl, not by hand')
  }
}
