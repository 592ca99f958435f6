import { beforeAll, describe, expect, inject, test } from 'vitest'
import { createNamespaces, namespacePair } from './namespaces.ts'
import { SideBySide, masked } from './side-by-side.ts'

const surroundings = inject('surroundings')

const deployment = (labels: Readonly<Record<string, string>> = {}): string =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'app', labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'app' } },
      template: {
        metadata: { labels: { app: 'app' } },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'busybox' }] },
      },
    },
  })

const configMap = (name: string, data: Readonly<Record<string, string>>): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { group: 'some' } }, data })

beforeAll(async () => {
  await createNamespaces(
    surroundings,
    surroundings.kubectls.flatMap((version) => namespacePair(version, 'writes')),
  )
})

for (const version of surroundings.kubectls) {
  describe(`kubectl ${version.version} writes through the gateway as it does directly`, { concurrent: true }, () => {
    const kubectl = new SideBySide(surroundings, version, { as: 'ana', namespaces: namespacePair(version, 'writes') })
    const data = async (name: string): Promise<unknown> => {
      const { stdout } = await kubectl.same(['get', 'configmap', name, '--output=jsonpath={.data}'])
      return JSON.parse(stdout)
    }

    describe('in order', { concurrent: false }, () => {
      test('create, and create again', async () => {
        await kubectl.same(['create', '--filename=-'], { input: configMap('settings', { color: 'red' }) })
        const { stderr } = await kubectl.same(['create', 'configmap', 'settings', '--from-literal=a=b'], { code: 1 })
        expect(stderr).toContain('already exists')
      })

      test('apply on the client side: created, configured, unchanged', async () => {
        const apply = ['apply', '--filename=-']
        const { stdout } = await kubectl.same(apply, { input: deployment() })
        expect(stdout).toBe('deployment.apps/app created\n')
        await kubectl.same(apply, { input: deployment({ tier: 'front' }) })
        const again = await kubectl.same(apply, { input: deployment({ tier: 'front' }) })
        expect(again.stdout).toBe('deployment.apps/app unchanged\n')
      })

      test('diff', async () => {
        const [direct, gateway] = await kubectl.both((each) =>
          each.run(['diff', '--filename=-'], { input: deployment({ tier: 'back' }) }),
        )
        const changes = (text: string): string[] => text.split('\n').filter((line) => /^[+-] /.test(line))
        expect(changes(gateway.stdout)).toEqual(changes(direct.stdout))
        expect(changes(gateway.stdout)).toContain('+    tier: back')
        expect([direct.code, gateway.code]).toEqual([1, 1])
      })

      test('apply on the server side, and a conflict', async () => {
        const apply = ['apply', '--server-side', '--filename=-']
        await kubectl.same(apply, { input: configMap('served', { color: 'red' }) })
        const other = [...apply, '--field-manager=other']
        const { stderr } = await kubectl.same(other, { input: configMap('served', { color: 'blue' }), code: 1 })
        expect(stderr).toContain('conflict with "kubectl"')
        await kubectl.same([...other, '--force-conflicts'], { input: configMap('served', { color: 'blue' }) })
        expect(await data('served')).toEqual({ color: 'blue' })
      })

      test('replace, and a replacement of what has changed since', async () => {
        await kubectl.same(['replace', '--filename=-'], { input: configMap('settings', { color: 'green', size: '1' }) })
        expect(await data('settings')).toEqual({ color: 'green', size: '1' })
        const stale = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', resourceVersion: '1' } }
        const { stderr } = await kubectl.same(['replace', '--filename=-'], { input: JSON.stringify(stale), code: 1 })
        expect(stderr).toContain('Conflict')
      })

      test('patch of three kinds', async () => {
        await kubectl.same(['patch', 'configmap', 'settings', '--type=merge', '--patch={"data":{"size":null,"a":"1"}}'])
        const json = '[{"op":"replace","path":"/data/color","value":"black"}]'
        await kubectl.same(['patch', 'configmap', 'settings', '--type=json', `--patch=${json}`])
        expect(await data('settings')).toEqual({ color: 'black', a: '1' })
        const strategic =
          '{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"1"}]}]}}}}'
        await kubectl.same(['patch', 'deployment', 'app', '--type=strategic', `--patch=${strategic}`])
        const { stdout } = await kubectl.same(['get', 'deployment', 'app', '--output=jsonpath={.spec.template.spec}'])
        expect(stdout).toContain('"image":"busybox"')
        expect(stdout).toContain('"env":[{"name":"A","value":"1"}]')
      })

      test('edit', async () => {
        const env = { KUBE_EDITOR: 'sed -i s/black/white/' }
        await kubectl.same(['edit', 'configmap', 'settings'], { env })
        expect(await data('settings')).toEqual({ color: 'white', a: '1' })
      })

      test('label, and a label that is there', async () => {
        await kubectl.same(['label', 'configmap', 'settings', 'team=blue'])
        await kubectl.same(['label', 'configmap', 'settings', 'team=red'], { code: 1 })
        await kubectl.same(['get', 'configmaps', '--selector=team=blue', '--show-labels'])
      })

      test('scale, rollout status and restart, wait', async () => {
        await kubectl.same(['scale', 'deployment/app', '--replicas=2'])
        const status = ['rollout', 'status', 'deployment/app', '--timeout=60s']
        await kubectl.both((each) => each.run(status))
        const settled = await kubectl.same(status)
        expect(settled.stdout).toBe('deployment "app" successfully rolled out\n')
        await kubectl.same(['rollout', 'restart', 'deployment/app'])
        const [direct, gateway] = await kubectl.both((each) => each.run(status))
        expect(gateway.stdout).toContain('successfully rolled out')
        expect([direct.code, gateway.code]).toEqual([0, 0])
        await kubectl.same(['wait', '--for=condition=Available', 'deployment/app', '--timeout=60s'])
        const never = ['wait', '--for=jsonpath={.data.color}=no', 'configmap/settings', '--timeout=1s']
        const late = await kubectl.both((each) => each.run(never))
        expect(late.map(({ code }) => code)).toEqual([1, 1])
      })

      test('watch', async () => {
        const watched = await Promise.all(
          [kubectl.direct, kubectl.gateway].map(async (each) => {
            await using watch = each.start(['get', 'configmaps', '--watch', '--output-watch-events'])
            await watch.says(/^ADDED +settings /m)
            await each.run(['create', 'configmap', 'seen', '--from-literal=a=b'])
            await watch.says(/^ADDED +seen /m)
            await each.run(['annotate', 'configmap', 'seen', 'a=b'])
            await watch.says(/^MODIFIED +seen /m)
            await each.run(['delete', 'configmap', 'seen'])
            await watch.says(/^DELETED +seen /m)
            return masked(watch.stdout, each.namespace)
          }),
        )
        expect(watched[1]).toEqual(watched[0])
      })

      test('custom resources', async () => {
        const widget = {
          apiVersion: 'example.com/v1',
          kind: 'Widget',
          metadata: { name: 'own' },
          spec: { color: 'red' },
        }
        await kubectl.same(['apply', '--filename=-'], { input: JSON.stringify(widget) })
        await kubectl.same(['patch', 'widget', 'own', '--type=merge', '--patch={"spec":{"color":"pink"}}'])
        const { stdout } = await kubectl.same(['get', 'widgets'])
        expect(stdout).toContain('pink')
        await kubectl.same(['delete', 'widget', 'own'])
      })

      test('delete, delete again, and delete a pod to its end', async () => {
        await kubectl.same(['delete', 'configmap', 'served'])
        await kubectl.same(['delete', 'configmap', 'served'], { code: 1 })
        await kubectl.same(['run', 'short', '--image=busybox', '--restart=Never', '--labels=a=b'])
        await kubectl.same(['delete', 'pods', '--selector=a=b', '--now'])
        await kubectl.same(['get', 'pod', 'short'], { code: 1 })
      })

      test('deletecollection', async () => {
        const remaining = ['get', 'configmaps', '--selector=group=some', '--output=name']
        expect((await kubectl.same(remaining)).stdout).toBe('configmap/settings\n')
        const [direct, gateway] = await kubectl.both((each) =>
          each.run(['delete', '--raw', `/api/v1/namespaces/${each.namespace}/configmaps?labelSelector=group=some`]),
        )
        expect([direct.code, gateway.code], gateway.stderr).toEqual([0, 0])
        expect((await kubectl.same(remaining)).stdout).toBe('')
      })
    })
  })
}
