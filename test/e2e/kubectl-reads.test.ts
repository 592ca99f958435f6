import { describe, inject, test } from 'vitest'
import { SideBySide } from './side-by-side.ts'

const surroundings = inject('surroundings')

/** Answered alike for a person who may read everything but secrets in `default`, and for the administrator. */
const readings: readonly (readonly [argv: string, code?: number])[] = [
  ['get pods'],
  ['get pods --output=wide'],
  ['get pods --output=yaml'],
  ['get deployments,services,configmaps --output=json'],
  ['get all'],
  ['get pods --selector=app=web --sort-by=.metadata.name --output=jsonpath={.items[*].metadata.name}'],
  ['get pods --chunk-size=1 --show-labels'],
  ['get deployments --all-namespaces --field-selector=metadata.name=ledger'],
  ['get namespaces --selector=kubernetes.io/metadata.name=kube-system'],
  ['get pod nobody', 1],
  ['get nonsense', 1],
  ['get widgets'],
  ['get widgets.example.com blue --output=yaml'],
  ['get --raw /api/v1/namespaces/default/configmaps/settings'],
  ['get --raw /version'],
  ['get --raw /apis/nonsense.example.com', 1],
  ['describe pod toolbox'],
  ['logs toolbox'],
  ['logs toolbox --previous', 1],
  ['api-resources --api-group=apps --sort-by=name'],
  ['explain pods.spec.containers.ports'],
  ['explain widgets.spec'],
  ['explain nonsense', 1],
  ['rollout history deployment/web'],
  ['top pods', 1],
  ['version --output=yaml'],
]

for (const version of surroundings.kubectls) {
  describe(`kubectl ${version.version} reads through the gateway as it does directly`, { concurrent: true }, () => {
    const kubectl = new SideBySide(surroundings, version, { as: 'ana', namespaces: ['default', 'default'] })
    for (const [argv, code = 0] of readings) {
      test(argv, async () => {
        await kubectl.same(argv.split(' '), { code })
      })
    }
  })
}
