import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { controlPlaneBinary } from './control-plane-binary.ts'
import type { BuildOptions } from './go-program.ts'
import { kubectlOutput } from './kubectl.ts'

/** How a control plane is started. */
export interface ControlPlaneOptions extends BuildOptions {
  /** Where everything is kept, and stays after the end. By default a temporary directory, which is removed. */
  readonly directory?: string
  /** Whether the API server writes its audit log (default true), at some cost: two to three lines a request. */
  readonly audit?: boolean
  /** Further flags for kube-apiserver, such as `--max-requests-inflight=4000`. */
  readonly apiServerFlags?: readonly string[]
  /** Handed what the control plane says of itself, line by line; nothing in the ordinary course. */
  readonly log?: (line: string) => void
}

/** A client certificate of the cluster's authority. */
export interface ClientCertificate {
  /** PEM. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  /** Path of a kubeconfig that holds the certificate, the key and the server. */
  readonly kubeconfig: string
}

/** A running Kubernetes control plane with one node. */
export interface ControlPlane extends AsyncDisposable {
  /** `https://127.0.0.1:PORT` */
  readonly server: string
  /** The authority of all certificates, the server's included. */
  readonly certificateAuthority: { readonly path: string; readonly pem: string }
  /** Path of a kubeconfig for `system:masters`. */
  readonly adminKubeconfig: string
  /** Path of a kubectl of the control plane's own version. */
  readonly kubectl: string
  /** Path of the API server's own audit log; see `audit-log.ts`. */
  readonly auditLog: string
  /** Where everything is kept; the components' logs are in `logs/`. */
  readonly directory: string
  /** A certificate for any user name and groups. Ends after an hour by default; a negative time gives one that has ended. */
  clientCertificate(subject: {
    readonly username: string
    readonly groups?: readonly string[]
    readonly expiresInSeconds?: number
  }): Promise<ClientCertificate>
  /** A token for a service account that exists, from the API server. It takes no less than 600 s to expire. */
  serviceAccountToken(account: {
    readonly namespace: string
    readonly name: string
    readonly expiresInSeconds?: number
  }): Promise<string>
  /** Path of a kubeconfig that presents the bearer token. */
  tokenKubeconfig(token: string): Promise<string>
  /**
   * Ends every process, containers included, and removes a temporary directory. May be called again.
   *
   * @throws Error with the end of a component's log when one had ended by itself.
   */
  stop(): Promise<void>
}

interface Ready {
  readonly server: string
  readonly certificateAuthority: string
  readonly adminKubeconfig: string
  readonly kubectl: string
  readonly auditLog: string
  readonly authority: string
}

const execute = promisify(execFile)

/**
 * Starts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and a node, and returns when the API server is
 * ready, the node is Ready and pods can be created: about 6 s.
 *
 * The caller stops it. When this process dies first, by whatever signal, everything ends with it.
 *
 * @throws Error with the last lines of the log of the component that failed.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binary = await controlPlaneBinary(options)
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'postern-control-plane-')))
  const supervisor = spawn(
    binary,
    [
      'up',
      `--directory=${directory}`,
      '--until-input-ends',
      `--audit=${options.audit ?? true}`,
      ...(options.directory === undefined ? ['--remove-directory'] : []),
      ...(options.apiServerFlags ?? []).map((flag) => `--kube-apiserver-flag=${flag}`),
    ],
    // A process group of its own: an interrupt at the terminal is for us, and we stop it in order.
    { detached: true, stdio: ['pipe', 'pipe', 'pipe'] },
  )
  const complaints: string[] = []
  createInterface(supervisor.stderr).on('line', (line) => {
    complaints.push(line)
    options.log?.(line)
  })
  const ended = once(supervisor, 'close') as Promise<[number | null]>
  const line = once(createInterface(supervisor.stdout), 'line') as Promise<[string]>
  const [first] = await Promise.race([line, ended])
  if (typeof first !== 'string') throw new Error(`the control plane did not start: ${complaints.join('\n')}`)
  const ready = JSON.parse(first) as Ready
  const pem = await readFile(ready.certificateAuthority, 'utf8')

  const admin = { kubectl: ready.kubectl, kubeconfig: ready.adminKubeconfig }
  const kubeconfig = (user: object) => writeKubeconfig(join(directory, 'kubeconfigs'), ready.server, pem, user)
  const stop = async () => {
    supervisor.stdin.end()
    const [code] = await ended
    if (code !== 0) throw new Error(`the control plane failed: ${complaints.join('\n')}`)
  }
  return {
    server: ready.server,
    certificateAuthority: { path: ready.certificateAuthority, pem },
    adminKubeconfig: ready.adminKubeconfig,
    kubectl: ready.kubectl,
    auditLog: ready.auditLog,
    directory,
    async clientCertificate({ username, groups = [], expiresInSeconds = 3600 }) {
      const { stdout } = await execute(binary, [
        'certificates',
        `--authority=${ready.authority}`,
        `--username=${username}`,
        ...groups.map((group) => `--group=${group}`),
        `--lifetime=${expiresInSeconds}s`,
      ])
      const pair = JSON.parse(stdout) as { certificate: string; key: string }
      const user = { 'client-certificate-data': base64(pair.certificate), 'client-key-data': base64(pair.key) }
      return { ...pair, kubeconfig: await kubeconfig(user) }
    },
    async serviceAccountToken({ namespace, name, expiresInSeconds = 3600 }) {
      const flags = [`--namespace=${namespace}`, `--duration=${expiresInSeconds}s`]
      return (await kubectlOutput(admin, ['create', 'token', name, ...flags])).trim()
    },
    tokenKubeconfig: (token) => kubeconfig({ token }),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Path of a new kubeconfig, which holds all it needs. */
async function writeKubeconfig(directory: string, server: string, authority: string, user: object): Promise<string> {
  const path = join(directory, `${randomUUID()}.yaml`)
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sandbox', cluster: { server, 'certificate-authority-data': base64(authority) } }],
    users: [{ name: 'user', user }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'user' } }],
    'current-context': 'sandbox',
  }
  await writeFile(path, JSON.stringify(config, null, 2), { mode: 0o600 })
  return path
}

function base64(value: string): string {
  return Buffer.from(value).toString('base64')
}
