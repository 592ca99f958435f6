import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { writeFile } from 'node:fs/promises'
import { parse, stringify } from 'yaml'
import { startControlPlane } from '../sandbox/control-plane.ts'
import { seedWorkload } from '../sandbox/workload.ts'
import { heading, line } from './terminal.ts'

/** The cluster that the demo stands in front of. */
export interface Cluster extends AsyncDisposable {
  readonly kubectl: string
  /** Path of a kubeconfig whose only context, `admin`, leads round the gateway. */
  readonly adminKubeconfig: string
  /** Whether it has the sandbox's workload, so that the story can go into its pods. */
  readonly seeded: boolean
}

const execute = promisify(execFile)

/** Starts a control plane and what runs in it. Ended when disposed of. */
export async function sandboxCluster(directory: string): Promise<Cluster> {
  heading('A Kubernetes control plane')
  const controlPlane = await startControlPlane({ directory: join(directory, 'control-plane') })
  try {
    await seedWorkload(controlPlane)
    line(`kube-apiserver at ${controlPlane.server}; deployments, services and secrets in default and payments`)
    const { kubectl } = controlPlane
    const adminKubeconfig = await adminContext(directory, kubectl, controlPlane.adminKubeconfig, undefined)
    return { kubectl, adminKubeconfig, seeded: true, [Symbol.asyncDispose]: () => controlPlane.stop() }
  } catch (error) {
    await controlPlane.stop()
    throw error
  }
}

/** A person's own cluster, with the kubectl on their PATH. Left as it is. */
export async function ownCluster(directory: string, kubeconfig: string, context: string | undefined): Promise<Cluster> {
  heading('Your own cluster')
  const adminKubeconfig = await adminContext(directory, 'kubectl', kubeconfig, context)
  return { kubectl: 'kubectl', adminKubeconfig, seeded: false, [Symbol.asyncDispose]: () => Promise.resolve() }
}

interface Kubeconfig {
  contexts: { name: string }[]
  'current-context': string
}

/** One context of a kubeconfig, with everything it names, under the name `admin`. */
async function adminContext(
  directory: string,
  kubectl: string,
  kubeconfig: string,
  context: string | undefined,
): Promise<string> {
  const args = ['config', 'view', '--raw', '--flatten', '--minify', '--kubeconfig', kubeconfig]
  const { stdout } = await execute(kubectl, context === undefined ? args : [...args, '--context', context])
  const view = parse(stdout) as Kubeconfig
  for (const each of view.contexts) each.name = 'admin'
  view['current-context'] = 'admin'
  const path = join(directory, 'admin.kubeconfig')
  await writeFile(path, stringify(view), { mode: 0o600 })
  return path
}
