import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCertificateAuthority } from '../sandbox/certificates.ts'
import { type Connector, startConnector } from '../sandbox/connector.ts'
import { startIdentityProvider } from '../sandbox/identity-provider.ts'
import { people } from '../sandbox/identity-provider/people.ts'
import { logIn, setKubeconfig } from '../sandbox/sign-in.ts'
import type { Cluster } from './cluster.ts'
import { command, heading, line } from './terminal.ts'

const POLICIES: Readonly<Record<string, string>> = {
  'developers.yaml': `# What people of the payments team may do in namespace default. Change it and start the demo again.
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: payments-developers }
spec:
  sockets: [production]
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: [get, list, watch], resources: [namespaces] }
  - { verbs: [get, list, watch], resources: [pods, pods/log, services, configmaps, deployments, replicasets, events], namespaces: [default] }
  - { verbs: [update, patch], resources: [deployments, deployments/scale], apiGroups: [apps], namespaces: [default] }
  - verbs: [create]
    resources: [pods/exec, pods/attach, pods/portforward]
    namespaces: [default]
    session: { record: required, maxDuration: 8h, idleTimeout: 30m }
  - { effect: deny, verbs: ["*"], resources: [secrets] }
`,
  'viewers.yaml': `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: viewers }
spec:
  sockets: [production]
  subjects: { groups: [viewers] }
  rules:
  - { verbs: [get, list, watch], resources: [pods, deployments, services] }
`,
}

/** A connector in front of a cluster, and a kubeconfig for the people who use it. */
export interface Stage extends AsyncDisposable {
  readonly connector: Connector
  /** Contexts \`ana@production\`, \`omar@production\` and \`admin\`. */
  readonly kubeconfig: string
  /** Flags of a `postern` command that runs as Ana. */
  readonly asAna: readonly string[]
  /** Commands worth trying. */
  readonly hints: readonly string[]
}

/** Starts the identity provider and the connector, and signs Ana and Omar in, with the public commands. */
export async function setStage(directory: string, cluster: Cluster): Promise<Stage> {
  await using ending = new AsyncDisposableStack()
  heading('An identity provider, and a connector in front of the cluster')
  const authority = createCertificateAuthority('postern demo')
  const provider = await startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate } })
  ending.defer(() => provider.stop())
  const policies = join(directory, 'policies')
  await mkdir(policies, { recursive: true })
  for (const [name, text] of Object.entries(POLICIES)) await writeFile(join(policies, name), text)
  const connector = ending.use(
    await startConnector(directory, {
      sockets: [{ name: 'production', upstream: { kubeconfig: { path: 'admin.kubeconfig', context: 'admin' } } }],
      policies: ['policies/*.yaml'],
      recordings: { store: { directory: 'recordings' } },
      issuer: {
        url: provider.issuer,
        certificateAuthority: provider.certificateAuthority,
        clientID: provider.clientId,
      },
    }),
  )
  await connector.ready()
  line(`issuer ${provider.issuer}, kubernetes ${connector.kubernetesURL}, portal ${connector.portalURL}`)

  heading('Two people sign in, once')
  const kubeconfig = join(directory, 'kubeconfig')
  await copyFile(cluster.adminKubeconfig, kubeconfig)
  for (const name of ['ana', 'omar'] as const) {
    const cacheDirectory = join(directory, 'logins', name)
    command(`postern client login --portal ${connector.portalURL}`)
    await logIn(connector, provider, people[name], cacheDirectory)
    line(`${people[name].login} is signed in; groups ${people[name].groups.join(', ')}`)
    command(`postern client kubeconfig set --context-name '${name}@{socket}'`)
    await setKubeconfig(connector, { prefix: name, kubeconfig, cacheDirectory })
    line(`context ${name}@production`)
  }
  const asAna = ['--portal', connector.portalURL, '--cache-directory', join(directory, 'logins', 'ana')]
  const owned = ending.move()
  return {
    connector,
    kubeconfig,
    asAna,
    hints: hints(directory, kubeconfig, cluster, connector, asAna),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function hints(
  directory: string,
  kubeconfig: string,
  cluster: Cluster,
  connector: Connector,
  asAna: readonly string[],
): string[] {
  const kubectl = cluster.kubectl
  return [
    `export KUBECONFIG=${kubeconfig}`,
    `${kubectl} --context ana@production get pods`,
    `${kubectl} --context ana@production get secrets`,
    ...(cluster.seeded ? [`${kubectl} --context ana@production exec -it deploy/web -- sh`] : []),
    `npm run --silent postern -- recordings list ${asAna.join(' ')}`,
    `npm run --silent postern -- recordings play ID ${asAna.join(' ')}`,
    `${kubectl} --context omar@production get deployments -A`,
    `${kubectl} --context admin get secrets`,
    `ls ${join(directory, 'policies')}; tail -f ${connector.auditLog}`,
    `curl -s ${connector.opsURL}/readyz?verbose`,
  ]
}
