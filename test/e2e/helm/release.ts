import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { type KubectlResult, kubectlOutput, runKubectl } from '../../../sandbox/kubectl.ts'
import { createCertificateAuthority } from '../../../sandbox/certificates.ts'
import { freePorts } from '../../../sandbox/free-ports.ts'
import type { Helm } from '../../support/helm.ts'
import {
  type Mount,
  type PodProcess,
  type SecurityContext,
  giveToGroup,
  startPodProcess,
} from '../../support/pod-process.ts'
import { AtomicVolume } from '../../support/atomic-volume.ts'
import type { PersonName, Surroundings } from '../surroundings.ts'
import { leastValues } from './values.ts'

const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount'

const READY_WITHIN_MS = 30_000

/** What the tests look at of a Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly data?: Readonly<Record<string, string>>
  readonly rules?: readonly object[]
  readonly spec?: {
    readonly replicas?: number
    readonly strategy?: { readonly type: string }
    readonly template?: { readonly spec: PodSpec }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
    /** Of a Certificate. */
    readonly dnsNames?: readonly string[]
    readonly ipAddresses?: readonly string[]
  }
}

interface PodSpec {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: SecurityContext
  readonly containers: readonly ContainerSpec[]
  readonly volumes: readonly Volume[]
}

interface ContainerSpec {
  readonly args: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly envFrom?: readonly { readonly secretRef?: { readonly name: string; readonly optional?: boolean } }[]
  readonly livenessProbe: { readonly httpGet: { readonly path: string } }
  readonly readinessProbe: { readonly httpGet: { readonly path: string } }
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
}

interface Volume {
  readonly name: string
  readonly configMap?: { readonly name: string; readonly defaultMode?: number }
  readonly secret?: { readonly secretName: string; readonly defaultMode?: number }
}

/** Secrets by name, and what is in them by key. */
type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}

/** A release of the chart in a namespace of its own, in which only pods of the restricted profile are admitted. */
export class Release {
  readonly namespace: string
  readonly manifests: readonly Manifest[]
  readonly #surroundings: Surroundings
  readonly #text: string
  readonly #ports: readonly [kubernetes: number, portal: number, ops: number]
  readonly #authority = createCertificateAuthority('a release')
  readonly #directory: string
  #pod: PodProcess | null = null
  #policies: AtomicVolume | null = null

  private constructor(
    surroundings: Surroundings,
    namespace: string,
    text: string,
    ports: readonly [number, number, number],
  ) {
    this.#surroundings = surroundings
    this.namespace = namespace
    this.#text = text
    this.manifests = parseManifests(text)
    this.#ports = ports
    this.#directory = join(surroundings.directory, namespace)
  }

  /**
   * Renders the chart with these values beside what has to be said, and makes the namespace with what it expects there:
   * the secrets, and the one of the listeners, which cert-manager would write where the chart asks for that.
   */
  static async render(
    surroundings: Surroundings,
    helm: Helm,
    namespace: string,
    values: object,
    secrets: Secrets = {},
  ): Promise<Release> {
    const [kubernetes = 0, portal = 0, ops = 0] = await freePorts(3)
    const all = { ...leastValues(surroundings, { kubernetes, portal }), ...values }
    const text = await helm.template({ name: 'postern', namespace }, all)
    const release = new Release(surroundings, namespace, text, [kubernetes, portal, ops])
    await mkdir(release.#directory)
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    const items = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
      ...Object.entries({ ...secrets, ...release.#listenerSecret() }).map(([name, stringData]) => ({
        ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData },
      })),
    ]
    await release.#admin(['create', '--filename=-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    return release
  }

  /** Lets the API server check the manifests, unknown fields included, and keep them. */
  async apply(): Promise<void> {
    await this.#admin(['apply', '--server-side', '--validate=strict', '--filename=-'], this.#text)
  }

  /**
   * Asks the API server whether it would take the manifests of another version.
   *
   * @throws Error with what it says when it would not, as of a field that cannot be changed.
   */
  async tryUpgrade(from: string, to: string): Promise<void> {
    const argv = ['apply', '--server-side', '--dry-run=server', '--filename=-']
    await this.#admin(argv, this.#text.replaceAll(from, to))
  }

  find(kind: string, name = 'postern'): Manifest {
    const found = this.manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name)
    if (found === undefined) throw new Error(`the chart makes no ${kind} ${name}`)
    return found
  }

  /** The Deployment or StatefulSet. */
  get workload(): Manifest {
    const found = this.manifests.find(({ spec }) => spec?.template !== undefined)
    if (found === undefined) throw new Error('the chart makes no pods')
    return found
  }

  get podSpec(): PodSpec {
    return podSpecOf(this.workload)
  }

  /**
   * Runs the pod's one container as a process: its arguments, its variables, its volumes with what the cluster holds for
   * them and the modes that it says, its user, its service account with a token of the API server. Only the three ports
   * are others. Of a StatefulSet it is the first pod. Returns when it is ready.
   */
  async run(): Promise<void> {
    const applied = JSON.parse(
      await this.#admin(['get', `${this.workload.kind}/${this.workload.metadata.name}`, '--output=json']),
    ) as Manifest
    const { serviceAccountName, automountServiceAccountToken, volumes, containers, securityContext } =
      podSpecOf(applied)
    const [container] = containers
    if (container === undefined || containers.length > 1) throw new Error('the pod has not one container')
    const claims = (applied.spec?.volumeClaimTemplates ?? []).map(({ metadata }) => ({ name: metadata.name }))
    const mounts: Mount[] = await Promise.all(
      container.volumeMounts.map(async ({ name, mountPath, readOnly = false }) => {
        const volume = [...volumes, ...claims].find((each) => each.name === name)
        if (volume === undefined) throw new Error(`there is no volume ${name}`)
        return { mountPath, readOnly, directory: await this.#volume(volume, securityContext) }
      }),
    )
    if (automountServiceAccountToken) {
      const token = await this.#admin(['create', 'token', serviceAccountName])
      const files = {
        token: token.trim(),
        namespace: this.namespace,
        'ca.crt': this.#surroundings.controlPlane.certificateAuthority.pem,
      }
      // Where there is an fsGroup, the kubelet begins with this mode.
      const { directory } = await AtomicVolume.create(join(this.#directory, 'service-account'), files, 0o600)
      await giveToGroup(directory, securityContext.fsGroup, true)
      mounts.push({ directory, mountPath: SERVICE_ACCOUNT_DIRECTORY, readOnly: true })
    }
    const { hostname, port } = new URL(this.#surroundings.controlPlane.server)
    this.#pod = await startPodProcess(this.#directory, {
      args: container.args,
      mounts,
      environment: {
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        ...(await this.#environment(container)),
      },
      securityContext,
    })
    const deadline = performance.now() + READY_WITHIN_MS
    while ((await this.probe('readinessProbe')) !== 200) {
      if (performance.now() > deadline) throw new Error(`the pod is not ready: ${this.log}`)
      await setTimeout(100)
    }
  }

  /** Status code of a probe, asked as the kubelet does. */
  async probe(name: 'livenessProbe' | 'readinessProbe'): Promise<number> {
    const path = this.podSpec.containers[0]?.[name].httpGet.path ?? ''
    const response = await fetch(`http://127.0.0.1:${this.#ports[2]}${path}`)
    await response.text()
    return response.status
  }

  /** What the connector says of its readiness, check by check. */
  async readiness(): Promise<string> {
    return await (await fetch(`http://127.0.0.1:${this.#ports[2]}/readyz?verbose`)).text()
  }

  /** Takes the rights of the connector away, as somebody's mistake would, and gives back what restores them. */
  async loseRights(): Promise<() => Promise<void>> {
    const name = `${this.namespace}-postern`
    await this.#admin(['delete', 'clusterrolebinding', name])
    return async () => {
      await this.#admin([
        ...['create', 'clusterrolebinding', name, `--clusterrole=${name}`],
        `--serviceaccount=${this.namespace}:${this.podSpec.serviceAccountName}`,
      ])
    }
  }

  /** Runs the newest kubectl as a person, through the release's connector. */
  async kubectl(person: PersonName, argv: readonly string[], socket = 'in-cluster'): Promise<KubectlResult> {
    const { connector, kubeconfigs, controlPlane, directory } = this.#surroundings
    const kubeconfig = join(this.#directory, `${person}-${socket}.yaml`)
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    const own = (await readFile(kubeconfigs[person], 'utf8'))
      .replaceAll(`${connector.kubernetesURL}/sockets/production`, `${this.url}/sockets/${socket}`)
      .replaceAll(base64(connector.certificateAuthority.pem), base64(this.#authority.certificate))
    await writeFile(kubeconfig, own)
    const env = { HOME: join(directory, 'homes', `${person}-${this.namespace}`) }
    return runKubectl({ kubectl: controlPlane.kubectl, kubeconfig, env }, argv)
  }

  get url(): string {
    return `https://127.0.0.1:${this.#ports[0]}`
  }

  get log(): string {
    return this.#pod?.log() ?? ''
  }

  /** Path of this machine for a volume of the container. */
  volumePath(name: string): string {
    return join(this.#directory, 'volumes', name)
  }

  /** Path by which this machine sees what the container sees at one of its own. */
  pathInPod(path: string): string {
    return join('/proc', String(this.#pod?.pid), 'root', path)
  }

  /** What the system says of the container's process, such as `CapEff`, by name. */
  async processStatus(): Promise<Readonly<Record<string, string>>> {
    const text = await readFile(`/proc/${this.#pod?.pid ?? ''}/status`, 'utf8')
    return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]))
  }

  /** Group and mode of a file, as the container sees it. */
  async groupAndMode(path: string): Promise<readonly [group: number, mode: string]> {
    const { gid, mode } = await stat(this.pathInPod(path))
    return [gid, (mode & 0o7777).toString(8)]
  }

  /** Edits the ConfigMap of the policies, and does what the kubelet does about it. */
  async replacePolicies(edit: (text: string) => string): Promise<void> {
    const files = await this.#configMap('postern-policies')
    const edited = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, edit(text)]))
    const patch = JSON.stringify({ data: edited })
    await this.#admin(['patch', 'configmap/postern-policies', '--type=merge', `--patch=${patch}`])
    await this.#policies?.replace(edited)
  }

  /** Pods that the workload's controller got admitted, such as `pod/NAME`. */
  async pods(): Promise<string[]> {
    const pods = await this.#admin(['get', 'pods', '--selector=app.kubernetes.io/name=postern', '--output=name'])
    return pods.split('\n').filter((line) => line !== '')
  }

  /** Names of the claims. */
  async claims(): Promise<string[]> {
    const claims = await this.#admin(['get', 'persistentvolumeclaims', '--output=name'])
    return claims.split('\n').flatMap((line) => (line === '' ? [] : [line.replace('persistentvolumeclaim/', '')]))
  }

  /** Ends the pod, takes back what the cluster has of the release, and gives back the pod's exit code. */
  async remove(): Promise<number | null> {
    const code = (await this.#pod?.stop()) ?? null
    await Promise.all([
      this.#admin(['delete', 'clusterrole,clusterrolebinding', `${this.namespace}-postern`, '--ignore-not-found']),
      this.#admin(['delete', 'namespace', this.namespace, '--wait=false']),
    ])
    return code
  }

  async #volume({ name, configMap, secret }: Volume, { fsGroup }: SecurityContext): Promise<string> {
    const directory = this.volumePath(name)
    if (configMap !== undefined) {
      const files = await this.#configMap(configMap.name)
      const kept = name === 'connector' ? this.#withOwnPorts(files) : files
      const volume = await AtomicVolume.create(directory, kept, configMap.defaultMode)
      if (name === 'policies') this.#policies = volume
    } else if (secret !== undefined) {
      await AtomicVolume.create(directory, await this.#secret(secret.secretName), secret.defaultMode)
    } else {
      await mkdir(directory, { recursive: true })
    }
    await giveToGroup(directory, fsGroup, configMap !== undefined || secret !== undefined)
    return directory
  }

  /** Variables of the manifest. */
  async #environment({ env = [], envFrom = [] }: ContainerSpec): Promise<Record<string, string>> {
    const environment: Record<string, string> = {}
    for (const { secretRef } of envFrom) {
      if (secretRef === undefined) throw new Error('variables come from Secrets only')
      Object.assign(environment, await this.#secret(secretRef.name, secretRef.optional))
    }
    for (const { name, value } of env) {
      if (value === undefined) throw new Error(`${name} has no value`)
      environment[name] = value
    }
    return environment
  }

  /** What the pod's Secret for the listeners has to hold, by its name. */
  #listenerSecret(): Secrets {
    const name = this.podSpec.volumes.find((volume) => volume.name === 'tls')?.secret?.secretName
    if (name === undefined) return {}
    const { dnsNames = [], ipAddresses = [] } = this.manifests.find(({ kind }) => kind === 'Certificate')?.spec ?? {}
    const hosts = ['127.0.0.1', ...dnsNames, ...ipAddresses]
    const { cert, key } = this.#authority.issueServer({ hosts })
    return { [name]: { 'tls.crt': cert + this.#authority.certificate, 'tls.key': key } }
  }

  async #secret(name: string, optional = false): Promise<Record<string, string>> {
    const argv = ['get', 'secret', name, '--output=json', ...(optional ? ['--ignore-not-found'] : [])]
    const answer = await this.#admin(argv)
    const { data = {} } = (answer === '' ? {} : JSON.parse(answer)) as Partial<Manifest>
    return Object.fromEntries(
      Object.entries(data).map(([key, content]) => [key, Buffer.from(content, 'base64').toString()]),
    )
  }

  async #configMap(name: string): Promise<Readonly<Record<string, string>>> {
    return (JSON.parse(await this.#admin(['get', 'configmap', name, '--output=json'])) as Manifest).data ?? {}
  }

  /** Other than a pod, this machine is not ours alone. */
  #withOwnPorts(files: Readonly<Record<string, string>>): Record<string, string> {
    const edited: Record<string, string> = { ...files }
    for (const [index, port] of [8443, 8444, 9443].entries()) {
      edited['connector.yaml'] = (edited['connector.yaml'] ?? '').replace(
        `address: :${port}\n`,
        `address: 127.0.0.1:${this.#ports[index] ?? 0}\n`,
      )
    }
    return edited
  }

  #admin(argv: readonly string[], input = ''): Promise<string> {
    const { kubectl, adminKubeconfig: kubeconfig } = this.#surroundings.controlPlane
    return kubectlOutput({ kubectl, kubeconfig, input }, [...argv, `--namespace=${this.namespace}`])
  }
}

function podSpecOf({ spec }: Manifest): PodSpec {
  const pod = spec?.template?.spec
  if (pod === undefined) throw new Error('there is no pod')
  return pod
}
