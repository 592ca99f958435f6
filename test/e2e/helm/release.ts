import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { type KubectlResult, kubectlOutput, runKubectl } from '../../../sandbox/kubectl.ts'
import { createCertificateAuthority } from '../../../sandbox/certificates.ts'
import { freePorts } from '../../../sandbox/free-ports.ts'
import type { Helm } from '../../support/helm.ts'
import { type Mount, type PodProcess, startPodProcess } from '../../support/pod-process.ts'
import { AtomicVolume } from '../../support/atomic-volume.ts'
import type { PersonName, Surroundings } from '../surroundings.ts'
import { leastValues } from './values.ts'

const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount'

const READY_WITHIN_MS = 30_000

/** What the tests look at of a Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly data?: Readonly<Record<string, string>>
  readonly rules?: readonly object[]
  readonly spec?: {
    readonly replicas?: number
    readonly strategy?: { readonly type: string }
    readonly template?: { readonly spec: PodSpec }
  }
}

interface PodSpec {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly terminationGracePeriodSeconds: number
  readonly containers: readonly {
    readonly args: readonly string[]
    readonly livenessProbe: { readonly httpGet: { readonly path: string } }
    readonly readinessProbe: { readonly httpGet: { readonly path: string } }
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
  }[]
  readonly volumes: readonly {
    readonly name: string
    readonly configMap?: { readonly name: string }
    readonly secret?: { readonly secretName: string }
  }[]
}

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

  /** Renders the chart with these values beside what has to be said, and makes the namespace with what it expects there. */
  static async render(surroundings: Surroundings, helm: Helm, namespace: string, values: object): Promise<Release> {
    const [kubernetes = 0, portal = 0, ops = 0] = await freePorts(3)
    const all = { ...leastValues(surroundings, { kubernetes, portal }), ...values }
    const text = await helm.template({ name: 'postern', namespace }, all)
    const release = new Release(surroundings, namespace, text, [kubernetes, portal, ops])
    await mkdir(release.#directory)
    const { cert, key } = release.#authority.issueServer()
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    const items = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: { name: 'listeners', namespace },
        stringData: { 'tls.crt': cert + release.#authority.certificate, 'tls.key': key },
      },
    ]
    await release.#admin(['create', '--filename=-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    return release
  }

  /** Lets the API server check the manifests, unknown fields included, and keep them. */
  async apply(): Promise<void> {
    await this.#admin(['apply', '--server-side', '--validate=strict', '--filename=-'], this.#text)
  }

  find(kind: string, name = 'postern'): Manifest {
    const found = this.manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name)
    if (found === undefined) throw new Error(`the chart makes no ${kind} ${name}`)
    return found
  }

  get podSpec(): PodSpec {
    const spec = this.find('Deployment').spec?.template?.spec
    if (spec === undefined) throw new Error('the deployment has no pod')
    return spec
  }

  /**
   * Runs the pod's one container as a process: its arguments, its volumes with what the cluster holds for them, its service
   * account with a token of the API server. Only the three ports are others. Returns when it is ready.
   */
  async run(): Promise<void> {
    const { serviceAccountName, automountServiceAccountToken, volumes, containers } = this.podSpec
    const [container] = containers
    if (container === undefined || containers.length > 1) throw new Error('the pod has not one container')
    const mounts: Mount[] = await Promise.all(
      container.volumeMounts.map(async ({ name, mountPath, readOnly = false }) => {
        const volume = volumes.find((each) => each.name === name)
        if (volume === undefined) throw new Error(`there is no volume ${name}`)
        return { mountPath, readOnly, directory: await this.#volume(volume) }
      }),
    )
    if (automountServiceAccountToken) {
      const token = await this.#admin(['create', 'token', serviceAccountName])
      const { directory } = await AtomicVolume.create(join(this.#directory, 'service-account'), {
        token: token.trim(),
        namespace: this.namespace,
        'ca.crt': this.#surroundings.controlPlane.certificateAuthority.pem,
      })
      mounts.push({ directory, mountPath: SERVICE_ACCOUNT_DIRECTORY, readOnly: true })
    }
    const { hostname, port } = new URL(this.#surroundings.controlPlane.server)
    this.#pod = await startPodProcess(this.#directory, container.args, mounts, {
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
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
  async kubectl(person: PersonName, argv: readonly string[], input = ''): Promise<KubectlResult> {
    const { connector, kubeconfigs, controlPlane, directory } = this.#surroundings
    const kubeconfig = join(this.#directory, `${person}.yaml`)
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    const own = (await readFile(kubeconfigs[person], 'utf8'))
      .replaceAll(`${connector.kubernetesURL}/sockets/production`, `${this.url}/sockets/in-cluster`)
      .replaceAll(base64(connector.certificateAuthority.pem), base64(this.#authority.certificate))
    await writeFile(kubeconfig, own)
    const env = { HOME: join(directory, 'homes', `${person}-${this.namespace}`) }
    return runKubectl({ kubectl: controlPlane.kubectl, kubeconfig, env, input }, argv)
  }

  get url(): string {
    return `https://127.0.0.1:${this.#ports[0]}`
  }

  get log(): string {
    return this.#pod?.log() ?? ''
  }

  /** Path of this machine for one of the container. */
  volumePath(name: string): string {
    return join(this.#directory, 'volumes', name)
  }

  /** Edits the ConfigMap of the policies, and does what the kubelet does about it. */
  async replacePolicies(edit: (text: string) => string): Promise<void> {
    const files = await this.#configMap('postern-policies')
    const edited = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, edit(text)]))
    const patch = JSON.stringify({ data: edited })
    await this.#admin(['patch', 'configmap/postern-policies', '--type=merge', `--patch=${patch}`])
    await this.#policies?.replace(edited)
  }

  /** Pods that the deployment's controller got admitted. */
  async pods(): Promise<string[]> {
    const pods = await this.#admin(['get', 'pods', '--selector=app.kubernetes.io/name=postern', '--output=name'])
    return pods.split('\n').filter((line) => line !== '')
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

  async #volume({ name, configMap, secret }: PodSpec['volumes'][number]): Promise<string> {
    const directory = this.volumePath(name)
    if (configMap !== undefined) {
      const files = await this.#configMap(configMap.name)
      const volume = await AtomicVolume.create(directory, name === 'connector' ? this.#withOwnPorts(files) : files)
      if (name === 'policies') this.#policies = volume
    } else if (secret !== undefined) {
      const output = ['get', 'secret', secret.secretName, '--output=json']
      const { data = {} } = JSON.parse(await this.#admin(output)) as Manifest
      const files = Object.entries(data).map(([file, content]) => [file, Buffer.from(content, 'base64').toString()])
      await AtomicVolume.create(directory, Object.fromEntries(files) as Record<string, string>)
    } else {
      await mkdir(directory, { recursive: true })
    }
    return directory
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
