import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CoreV1Api,
  Exec,
  KubeConfig,
  PortForward,
  V1ConfigMap,
  type V1Status,
  makeInformer,
} from '@kubernetes/client-node'
import { expect, inject, test, vi } from 'vitest'
import { startTcpRelay } from './tcp-relay.ts'

const surroundings = inject('surroundings')
const patience = { timeout: 20_000 }

/** The kubeconfig that `postern client kubeconfig set` wrote, as it is. */
function kubeConfig(path = surroundings.kubeconfigs.ana): KubeConfig {
  const config = new KubeConfig()
  config.loadFromFile(path)
  return config
}

test('lists page by page', async () => {
  const api = kubeConfig().makeApiClient(CoreV1Api)
  const whole = await api.listNamespacedPod({ namespace: 'default' })
  const names: (string | undefined)[] = []
  let next: string | undefined
  let pages = 0
  do {
    const page = await api.listNamespacedPod({ namespace: 'default', limit: 1, ...(next && { _continue: next }) })
    names.push(...page.items.map(({ metadata }) => metadata?.name))
    next = page.metadata?._continue
    pages += 1
  } while (next)
  expect(pages).toBe(whole.items.length)
  expect(pages).toBeGreaterThan(1)
  expect(names).toEqual(whole.items.map(({ metadata }) => metadata?.name))
})

test('a denial is an error with the Status', async () => {
  const api = kubeConfig().makeApiClient(CoreV1Api)
  await expect(api.listNamespacedSecret({ namespace: 'default' })).rejects.toMatchObject({ code: 403 })
})

test('an informer follows, also after its connection broke', async () => {
  const { kubernetesURL } = surroundings.connector
  await using relay = await startTcpRelay(Number(new URL(kubernetesURL).port))
  const path = join(surroundings.directory, 'informer.yaml')
  const original = await readFile(surroundings.kubeconfigs.ana, 'utf8')
  await writeFile(path, original.replaceAll(kubernetesURL, `https://127.0.0.1:${relay.port}`))
  const config = kubeConfig(path)
  const direct = kubeConfig(surroundings.controlPlane.adminKubeconfig).makeApiClient(CoreV1Api)
  const change = (name: string) => {
    const body = Object.assign(new V1ConfigMap(), { metadata: { name, labels: { informer: 'yes' } } })
    return direct.createNamespacedConfigMap({ namespace: 'default', body })
  }

  const api = config.makeApiClient(CoreV1Api)
  const selection = { namespace: 'default', labelSelector: 'informer=yes' }
  const informer = makeInformer(
    config,
    '/api/v1/namespaces/default/configmaps',
    () => api.listNamespacedConfigMap(selection),
    selection.labelSelector,
  )
  const seen: string[] = []
  const errors: unknown[] = []
  informer.on('add', ({ metadata }) => seen.push(`+${metadata?.name ?? ''}`))
  informer.on('delete', ({ metadata }) => seen.push(`-${metadata?.name ?? ''}`))
  informer.on('error', (error: unknown) => errors.push(error))
  try {
    await change('informer-before')
    await informer.start()
    await vi.waitUntil(() => seen.includes('+informer-before'), patience)
    await change('informer-during')
    await vi.waitUntil(() => seen.includes('+informer-during'), patience)
    await relay.cut()
    await vi.waitUntil(() => errors.length > 0, patience)
    await change('informer-after')
    await relay.mend()
    await informer.start()
    await vi.waitUntil(() => seen.includes('+informer-after'), patience)
    await direct.deleteCollectionNamespacedConfigMap(selection)
    await vi.waitUntil(() => seen.filter((each) => each.startsWith('-')).length === 3, patience)
    expect(seen).toEqual(['+informer-before', '+informer-during', '+informer-after', ...seen.slice(3)])
    expect(informer.list()).toEqual([])
  } finally {
    await informer.stop()
    await direct.deleteCollectionNamespacedConfigMap(selection)
  }
})

test('Exec with input, output, error output and exit code', async () => {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const { promise: status, resolve } = Promise.withResolvers<V1Status>()
  const command = ['sh', '-c', 'read line; echo "got $line"; echo bad >&2; exit 7']
  await new Exec(kubeConfig()).exec('default', 'toolbox', 'toolbox', command, stdout, stderr, stdin, false, resolve)
  stdin.write('hello\n')
  const { status: outcome, details } = await status
  stdout.end()
  stderr.end()
  expect(outcome).toBe('Failure')
  expect(details?.causes).toEqual([{ reason: 'ExitCode', message: '7' }])
  expect(await text(stdout)).toBe('got hello\n')
  expect(await text(stderr)).toBe('bad\n')
})

test('PortForward', async () => {
  const api = kubeConfig().makeApiClient(CoreV1Api)
  const { items } = await api.listNamespacedPod({ namespace: 'default', labelSelector: 'app=web' })
  const name = items[0]?.metadata?.name ?? ''
  const [output, input] = [new PassThrough(), new PassThrough()]
  await new PortForward(kubeConfig()).portForward('default', name, [8080], output, null, input)
  let answer = ''
  output.setEncoding('utf8').on('data', (chunk: string) => {
    answer += chunk
  })
  input.write('GET / HTTP/1.1\r\nHost: web\r\n\r\n')
  await vi.waitUntil(() => answer.includes(`hello from ${name}`), patience)
  // Which ends the session.
  input.end()
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
})
