import { setTimeout as sleep } from 'node:timers/promises'
import { kubectlOutput } from '../../sandbox/kubectl.ts'
import type { KubectlVersion } from './kubectl-versions.ts'
import type { Surroundings } from './surroundings.ts'

const deadlineMs = 30_000

/** Two names of the same length for what one kubectl does on both ways. `purpose` is a word for each file of tests. */
export function namespacePair(version: KubectlVersion, purpose: string): [direct: string, gateway: string] {
  const stem = `kubectl-1-${version.minor}-${purpose}`
  return [`${stem}-d`, `${stem}-g`]
}

/** Creates namespaces, and returns once pods can be created in them. */
export async function createNamespaces(
  { controlPlane }: Pick<Surroundings, 'controlPlane'>,
  names: readonly string[],
): Promise<void> {
  const admin = { kubectl: controlPlane.kubectl, kubeconfig: controlPlane.adminKubeconfig }
  const items = names.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  await kubectlOutput({ ...admin, input }, ['create', '--filename=-'])
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const accounts = await kubectlOutput(admin, [
      'get',
      'serviceaccounts',
      '-A',
      '-o=custom-columns=:.metadata.namespace',
    ])
    const ready = new Set(accounts.split(/\s+/))
    if (names.every((name) => ready.has(name))) return
    if (performance.now() > deadline) throw new Error('namespaces got no service account')
    await sleep(200)
  }
}
