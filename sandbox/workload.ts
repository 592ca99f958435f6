import { fileURLToPath } from 'node:url'
import type { ControlPlane } from './control-plane.ts'
import { kubectlOutput } from './kubectl.ts'

const directory = fileURLToPath(new URL('./workload', import.meta.url))

/**
 * Applies `sandbox/workload` to a control plane and returns when everything in it runs.
 *
 * | namespace | what |
 * | --- | --- |
 * | default | deployment and service `web` (2 replicas, port 8080), config map `settings`, secret `db`, widget `blue`, pod `toolbox` |
 * | payments | deployment and service `ledger` (1 replica, port 8080), config map `settings`, secret `db` |
 */
export async function seedWorkload(controlPlane: Pick<ControlPlane, 'kubectl' | 'adminKubeconfig'>): Promise<void> {
  const admin = { kubectl: controlPlane.kubectl, kubeconfig: controlPlane.adminKubeconfig }
  await kubectlOutput(admin, ['apply', '-f', `${directory}/definitions.yaml`])
  await kubectlOutput(admin, ['wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=60s'])
  await kubectlOutput(admin, ['apply', '-f', `${directory}/default.yaml`, '-f', `${directory}/payments.yaml`])
  await Promise.all([
    // The API server takes 2 s for the first object of a new kind.
    kubectlOutput(admin, ['apply', '-f', `${directory}/widget.yaml`]),
    kubectlOutput(admin, ['rollout', 'status', 'deployment/web', '--timeout=60s']),
    kubectlOutput(admin, ['rollout', 'status', 'deployment/ledger', '--namespace=payments', '--timeout=60s']),
    kubectlOutput(admin, ['wait', '--for=condition=Ready', 'pod/toolbox', '--timeout=60s']),
  ])
}
