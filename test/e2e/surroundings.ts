import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { type Connector, startConnector } from '../../sandbox/connector.ts'
import { type ControlPlane, startControlPlane } from '../../sandbox/control-plane.ts'
import { type IdentityProvider, startIdentityProvider } from '../../sandbox/identity-provider.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { logIn, setKubeconfig } from '../../sandbox/sign-in.ts'
import { seedWorkload } from '../../sandbox/workload.ts'
import { connectorUsername, contradictions } from './evidence.ts'
import { complaintsOf, stopWithin } from './graceful-end.ts'
import { type KubectlVersion, findKubectls } from './kubectl-versions.ts'

export type PersonName = keyof typeof people

/** What the tests of this project share: one of everything, used by people who are signed in. */
export interface Surroundings {
  /** Removed at the end. */
  readonly directory: string
  readonly controlPlane: Pick<
    ControlPlane,
    'server' | 'certificateAuthority' | 'adminKubeconfig' | 'kubectl' | 'auditLog' | 'directory'
  >
  /** Path of a kubeconfig for the control plane whose client certificate has expired. */
  readonly expiredKubeconfig: string
  readonly connector: Pick<
    Connector,
    'kubernetesURL' | 'portalURL' | 'opsURL' | 'certificateAuthority' | 'auditLog' | 'recordings'
  >
  readonly issuer: { readonly url: string; readonly certificateAuthority: string; readonly clientID: string }
  /** Paths of kubeconfigs, each with one context that is its current one. */
  readonly kubeconfigs: Readonly<Record<PersonName, string>>
  /** Oldest first. */
  readonly kubectls: readonly KubectlVersion[]
}

declare module 'vitest' {
  interface ProvidedContext {
    surroundings: Surroundings
  }
}

/** Short, so that tokens are refreshed many times in a run, by many kubectls at once. */
const idTokenSeconds = 90
/** The connector's own drain timeout, and some for a busy machine. */
const stopWithinMs = 15_000

/**
 * Starts the surroundings once for all files, and gives back what ends them. Ending throws, and so fails the run, when
 * the connector warned, logged an error, did not end by itself, or left evidence that contradicts itself.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = performance.now()
  const directory = await mkdtemp(join(tmpdir(), 'postern-e2e-'))
  await using resources = new AsyncDisposableStack()
  resources.defer(() => rm(directory, { recursive: true, force: true }))

  const controlPlane = resources.use(await startControlPlane({ directory: join(directory, 'control-plane') }))
  const authority = createCertificateAuthority()
  const tls = { ...authority.issueServer(), ca: authority.certificate }
  const provider = await startIdentityProvider({ tls, idTokenSeconds })
  resources.defer(() => provider.stop())
  const issuer = { url: provider.issuer, certificateAuthority: provider.certificateAuthority, clientID: 'postern' }
  const [own, expired] = await Promise.all([
    controlPlane.clientCertificate({
      username: connectorUsername,
      groups: ['system:masters'],
      expiresInSeconds: 24 * 3600,
    }),
    controlPlane.clientCertificate({ username: 'late', expiresInSeconds: -3600 }),
    seedWorkload(controlPlane),
    copyFile(new URL('policies.yaml', import.meta.url), join(directory, 'policies.yaml')),
    mkdir(join(directory, 'people')),
  ])
  const connector = await startConnector(
    directory,
    {
      sockets: [{ name: 'production', upstream: { kubeconfig: { path: own.kubeconfig } } }],
      // Older kubectls drop the path of the server's address from `get --raw` and `delete --raw`.
      defaultSocket: 'production',
      policies: ['policies.yaml'],
      recordings: { store: { directory: 'recordings' } },
      issuer,
    },
    { nodeFlags: ['--trace-warnings'] },
  )
  resources.defer(async () => {
    await stopWithin(connector, stopWithinMs)
  })
  const kubeconfigs = await connector
    .ready()
    .then(() => signInEverybody(join(directory, 'people'), connector, provider))
    .catch((cause: unknown) => {
      throw new Error(`nobody could sign in; the connector said:\n${connector.log()}`, { cause })
    })
  const kubectls = await findKubectls(controlPlane.kubectl)

  const { kubernetesURL, portalURL, opsURL, certificateAuthority, auditLog, recordings } = connector
  project.provide('surroundings', {
    directory,
    controlPlane: {
      server: controlPlane.server,
      certificateAuthority: controlPlane.certificateAuthority,
      adminKubeconfig: controlPlane.adminKubeconfig,
      kubectl: controlPlane.kubectl,
      auditLog: controlPlane.auditLog,
      directory: controlPlane.directory,
    },
    expiredKubeconfig: expired.kubeconfig,
    connector: { kubernetesURL, portalURL, opsURL, certificateAuthority, auditLog, recordings },
    issuer,
    kubeconfigs,
    kubectls,
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`surroundings after ${seconds} s; kubectl ${kubectls.map((each) => each.version).join(', ')}\n`)

  const ending = resources.move()
  return async () => {
    try {
      const complaints = await stopWithin(connector, stopWithinMs)
      complaints.push(...complaintsOf(connector.log()))
      complaints.push(...(await contradictions(controlPlane, connector.auditLog)))
      const { refusals } = provider.counts
      if (refusals > 0) complaints.push(`the identity provider refused ${refusals} codes or refresh tokens`)
      complaints.push(...provider.errors.map((error) => `the identity provider: ${error.message}`))
      if (complaints.length > 0) throw new Error(`the connector of the tests:\n${complaints.join('\n')}`)
    } finally {
      await ending.disposeAsync()
    }
  }
}

/** The one who may reach nothing: `postern client kubeconfig set` gives her nothing, so she copies a colleague's. */
const stranger = 'mallory'

async function signInEverybody(
  directory: string,
  connector: Connector,
  provider: IdentityProvider,
): Promise<Record<PersonName, string>> {
  const signIn = async (name: PersonName): Promise<[PersonName, string]> => {
    const cacheDirectory = join(directory, name)
    const kubeconfig = join(directory, `${name}.yaml`)
    await logIn(connector, provider, people[name], cacheDirectory)
    if (name !== stranger) await setKubeconfig(connector, { prefix: name, kubeconfig, cacheDirectory })
    return [name, kubeconfig]
  }
  const names = Object.keys(people) as PersonName[]
  const kubeconfigs = Object.fromEntries(await Promise.all(names.map(signIn))) as Record<PersonName, string>
  const colleagues = await readFile(kubeconfigs.ana, 'utf8')
  await writeFile(kubeconfigs[stranger], colleagues.replaceAll(join(directory, 'ana'), join(directory, stranger)))
  return kubeconfigs
}
