import { once } from 'node:events'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { kubectlOutput, runKubectl } from '../../sandbox/kubectl.ts'
import { checkConnector } from '../../src/config/check-connector.ts'
import { type Helm, startHelm } from '../support/helm.ts'
import { complaintsOf } from './graceful-end.ts'
import { Release, parseManifests } from './helm/release.ts'
import { EVERYTHING, LEAST_RIGHTS, TRIAL, leastValues } from './helm/values.ts'

/*
 * The chart, rendered by helm, checked and kept by the API server, and its pod run with what the rendered manifests give
 * it: the service account with its rights, the volumes, the arguments.
 */

const surroundings = inject('surroundings')
const { controlPlane } = surroundings
const admin = { kubectl: controlPlane.kubectl, kubeconfig: controlPlane.adminKubeconfig }
const definitions = fileURLToPath(new URL('./helm/definitions.yaml', import.meta.url))

const STATED = leastValues(surroundings, { kubernetes: 8443, portal: 8444 })
let helm: Helm

beforeAll(async () => {
  helm = await startHelm()
  await kubectlOutput(admin, ['apply', '-f', definitions])
  await kubectlOutput(admin, ['wait', '--for=condition=Established', '-f', definitions, '--timeout=60s'])
})
afterAll(async () => {
  await kubectlOutput(admin, ['delete', '-f', definitions, '--wait=false'])
})

describe('values', () => {
  test('that state what has to be stated are enough', async () => {
    expect(await helm.lint(STATED)).toContain('0 chart(s) failed')
  })

  test.concurrent.each<[string, object, RegExp]>([
    ['an unknown key', { kubernetes: { publicUrl: 'https://x' } }, /additional properties 'publicUrl' not allowed/],
    ['no issuer', { identity: { issuers: [] } }, /identity.issuers: who may sign in/],
    ['no address', { portal: { publicURL: '' } }, /portal.publicURL: what do people call it/],
    ['no certificate', { tls: { existingSecret: '' } }, /tls: say existingSecret, certManager/],
    ['no policy', { policies: { files: {} } }, /without one nobody may do anything/],
    ['an issuer over http', issuerAt('http://sso.example.com'), /does not match pattern '\^https/],
    ['a drain timeout beside drainSeconds', { limits: { drainTimeout: '1m' } }, /'drainTimeout' not allowed/],
    ['a delay beside shutdownDelaySeconds', { limits: { shutdownDelay: '1m' } }, /'shutdownDelay' not allowed/],
    [
      'an authority for a trial',
      { tls: { trial: true, certificateAuthority: 'ca.crt' } },
      /has an authority of its own/,
    ],
    ['two replicas on one claim', { replicas: 2 }, /one connector holds the lock of a claim/],
    ['least rights over nobody', { rights: { kind: 'least' } }, /say which users and groups/],
    ['an Ingress that would end TLS', { ingress: { enabled: true } }, /annotations': minProperties/],
    [
      'rights that a socket does not fit',
      { sockets: [{ name: 'here', upstream: { inCluster: {} }, forwardAs: 'subject' }] },
      /here has forwardAs: subject, which rights.kind: full does not allow/,
    ],
    [
      'one host for two listeners',
      { gateway: { enabled: true, parentRefs: [{ name: 'public' }] } },
      /tells the two listeners apart by host name/,
    ],
  ])('with %s are refused', async (_name, values, complaint) => {
    await expect(helm.template({ name: 'postern', namespace: 'default' }, { ...STATED, ...values })).rejects.toThrow(
      complaint,
    )
  })

  test('without an in-cluster socket give the pod no token', async () => {
    const sockets = [{ name: 'elsewhere', upstream: { kubeconfig: { path: '/kubeconfig' } } }]
    const text = await helm.template({ name: 'a', namespace: 'b' }, { ...STATED, sockets, rights: { kind: 'none' } })
    expect(text).toContain('automountServiceAccountToken: false\n      enableServiceLinks')
    expect(text).not.toContain('ClusterRole')
  })
})

test('least rights hold token reviews where service accounts may come in', async () => {
  const serviceAccounts = [{ socket: 'in-cluster', audiences: ['postern'], prefix: 'here:' }]
  const values = { ...STATED, ...LEAST_RIGHTS, identity: { ...STATED.identity, serviceAccounts } }
  const manifests = parseManifests(await helm.template({ name: 'postern', namespace: 'default' }, values))
  const role = manifests.find(({ kind }) => kind === 'ClusterRole')
  expect(role?.rules).toContainEqual({
    apiGroups: ['authentication.k8s.io'],
    resources: ['tokenreviews'],
    verbs: ['create'],
  })
})

test('policies can be objects alone, and least rights hold what that needs', async () => {
  const policies = { objects: { socket: 'in-cluster', namespaced: true } }
  const text = await helm.template({ name: 'a', namespace: 'b' }, { ...STATED, ...LEAST_RIGHTS, policies })
  expect(text).toContain('clusterposternpolicies/status')
  expect(text).not.toContain('a-postern-policies\n  namespace')
  const { data = {} } = parseManifests(text).find(({ kind }) => kind === 'ConfigMap') ?? {}
  const document = parse(data['connector.yaml'] ?? '') as Record<string, unknown>
  expect(document['policyObjects']).toEqual(policies.objects)
  expect(document['policies']).toBeUndefined()
})

test("rules of one's own are joined by what policies that are objects need", async () => {
  const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }]
  const policies = { objects: { socket: 'in-cluster' } }
  const text = await helm.template({ name: 'a', namespace: 'b' }, { ...STATED, rights: { rules }, policies })
  const role = parseManifests(text).find(({ kind }) => kind === 'ClusterRole')
  expect(role?.rules).toEqual([
    ...rules,
    { apiGroups: ['postern.dev'], resources: ['clusterposternpolicies', 'posternpolicies'], verbs: ['list', 'watch'] },
    {
      apiGroups: ['postern.dev'],
      resources: ['clusterposternpolicies/status', 'posternpolicies/status'],
      verbs: ['patch'],
    },
    { nonResourceURLs: ['/readyz', '/version'], verbs: ['get'] },
  ])
})

test.each([
  [{}, { shutdownDelay: '5s', drainTimeout: '30s' }, 40],
  [
    { shutdownDelaySeconds: 20, drainSeconds: 90, limits: { maxConnections: 1000 } },
    { shutdownDelay: '20s', drainTimeout: '90s', maxConnections: 1000 },
    115,
  ],
])('a pod with %j ends within the time that the kubelet gives it', async (said, limits, gracePeriodSeconds) => {
  const { kubernetes, portal, tls, identity, policies } = STATED
  const values = { kubernetes, portal, tls, identity, policies, ...said }
  const manifests = parseManifests(await helm.template({ name: 'postern', namespace: 'default' }, values))
  const { data = {} } = manifests.find(({ kind }) => kind === 'ConfigMap') ?? {}
  const document = parse(data['connector.yaml'] ?? '') as Record<string, unknown>
  expect(document['limits']).toEqual(limits)
  expect(document['stateDirectory']).toBe('/var/lib/postern/state')
  const deployment = manifests.find(({ kind }) => kind === 'Deployment')
  expect(deployment?.spec?.template?.spec.terminationGracePeriodSeconds).toBe(gracePeriodSeconds)
})

test('a private authority is told to clients of the kubernetes listener', async () => {
  const tls = { existingSecret: 'listeners', certificateAuthority: '/etc/postern/tls/ca.crt' }
  const manifests = parseManifests(await helm.template({ name: 'postern', namespace: 'default' }, { ...STATED, tls }))
  const { data = {} } = manifests.find(({ kind }) => kind === 'ConfigMap') ?? {}
  const { listen } = parse(data['connector.yaml'] ?? '') as Record<string, Record<string, { tls: object }>>
  expect(listen?.['kubernetes']?.tls).toMatchObject({ certificateAuthority: '/etc/postern/tls/ca.crt' })
  expect(listen?.['portal']?.tls).toEqual({ certificate: '/etc/postern/tls/tls.crt', key: '/etc/postern/tls/tls.key' })
})

test('a trial needs no certificate', async () => {
  const text = await helm.template({ name: 'a', namespace: 'b' }, { ...STATED, tls: { trial: true } })
  expect(text).not.toMatch(/secret|tls:/)
})

function issuerAt(url: string): object {
  const [issuer] = STATED.identity.issuers
  return { identity: { issuers: [{ ...issuer, issuer: { url, audiences: ['postern'] } }] } }
}

describe('what stands in the repository', () => {
  const strict = ['apply', '--server-side', '--validate=strict', '--filename=-']

  test('as an example of values is taken by the API server', async () => {
    const directory = new URL('../../examples/helm/', import.meta.url)
    const values = parse(await readFile(new URL('values.yaml', directory), 'utf8')) as object
    const policy = await readFile(new URL('developers.yaml', directory), 'utf8')
    const text = await helm.template(
      { name: 'postern', namespace: 'default' },
      { ...values, policies: { files: { 'developers.yaml': policy } } },
    )
    await kubectlOutput({ ...admin, input: text }, [...strict, '--dry-run=server'])
  })

  test('for a trial in one file is taken by the API server, its pod of the restricted profile included', async () => {
    const input = await readFile(new URL('../../deploy/connector.yaml', import.meta.url), 'utf8')
    await kubectlOutput({ ...admin, input }, strict)
    onTestFinished(async () => {
      await kubectlOutput({ ...admin, input }, ['delete', '--filename=-', '--wait=false'])
    })
    const pods = ['get', 'pods', '--namespace=postern', '--output=name']
    await expect.poll(() => kubectlOutput(admin, pods)).toMatch(/^pod\/postern-/)
  })
})

/*
 * The releases are made side by side, since most of what it takes is to wait. Each ends with its own tests.
 */
const releases = { everything: EVERYTHING, full: {}, least: LEAST_RIGHTS, trial: TRIAL }
type ReleaseName = keyof typeof releases
const made = new Map<ReleaseName, Promise<Release>>()

async function make(name: ReleaseName): Promise<Release> {
  const release = await Release.render(surroundings, helm, `helm-${name}`, releases[name])
  await release.apply()
  if (name !== 'everything') await release.run()
  return release
}

beforeAll(() => {
  for (const name of Object.keys(releases) as ReleaseName[]) {
    const release = make(name)
    // Whoever asks for it is told.
    release.catch(() => undefined)
    made.set(name, release)
  }
})

/** Whoever takes a release removes it. */
async function releaseOf(name: ReleaseName): Promise<Release> {
  const release = await made.get(name)
  if (release === undefined) throw new Error(`there is no release ${name}`)
  made.delete(name)
  return release
}

afterAll(async () => {
  for (const release of made.values()) await (await release.catch(() => null))?.remove()
})

describe('everything that the chart can make', () => {
  let release: Release

  beforeAll(async () => {
    release = await releaseOf('everything')
  })
  afterAll(() => release.remove())

  test('is taken by the API server, pods of the restricted profile included', async () => {
    expect([...new Set(release.manifests.map(({ kind }) => kind))].sort()).toEqual([
      ...['Certificate', 'ClusterRole', 'ClusterRoleBinding', 'ConfigMap', 'Deployment', 'Ingress', 'NetworkPolicy'],
      ...['PodDisruptionBudget', 'Service', 'ServiceAccount', 'ServiceMonitor', 'TLSRoute'],
    ])
    await expect.poll(() => release.pods()).toHaveLength(2)
  })

  test('has a document that the connector takes', async () => {
    const directory = await mkdtemp(join(surroundings.directory, 'document-'))
    const { data = {} } = release.find('ConfigMap')
    const document = (data['connector.yaml'] ?? '')
      .replaceAll('/etc/postern/tls', join(surroundings.directory))
      .replaceAll('/etc/postern/connector', directory)
      .replaceAll('/etc/postern/policies/*.yaml', join(surroundings.directory, 'policies.yaml'))
      .replaceAll('/etc/postern/kubeconfigs/elsewhere', controlPlane.adminKubeconfig)
    await writeFile(join(directory, 'connector.yaml'), document)
    await writeFile(join(directory, 'recordings.pub'), data['recordings.pub'] ?? '')
    expect(await checkConnector(join(directory, 'connector.yaml'))).toEqual([])
  })
})

describe('a release with full rights', () => {
  let release: Release

  beforeAll(async () => {
    release = await releaseOf('full')
  })
  afterAll(async () => {
    expect(await release.remove()).toBe(0)
    expect(complaintsOf(release.log)).toEqual([])
  })

  test('lives, and starts anew only after the old pod has let go of its recordings', async () => {
    expect(await release.probe('livenessProbe')).toBe(200)
    expect(release.find('Deployment').spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } })
    await expect.poll(() => release.pods()).toHaveLength(1)
  })

  test('does what the policy allows', async () => {
    const name = 'helm-made'
    expect(await release.kubectl('admin', ['create', 'namespace', name])).toMatchObject({ code: 0 })
    const role = ['create', 'role', 'readers', '--verb=get,list', '--resource=pods', `--namespace=${name}`]
    expect(await release.kubectl('admin', role)).toMatchObject({ code: 0 })
    expect(await release.kubectl('admin', ['get', 'pods', '-A'])).toMatchObject({ code: 0 })
    expect(await release.kubectl('admin', ['get', '--raw=/metrics'])).toMatchObject({ code: 0 })
    expect(await release.kubectl('admin', ['delete', 'namespace', name, '--wait=false'])).toMatchObject({ code: 0 })
  })

  test('records on its volume what is done in a pod', async () => {
    const exec = await release.kubectl('ana', ['exec', 'toolbox', '-n', 'default', '--', 'echo', 'hello'])
    expect(exec).toMatchObject({ code: 0, stdout: 'hello\n' })
    const kept = release.volumePath('recordings')
    const ids = (await readdir(kept)).filter((each) => /^[0-9a-f-]{36}$/.test(each))
    expect(ids).toHaveLength(1)
    expect(await readFile(join(kept, ids[0] ?? '', 'recording.cast'), 'utf8')).toContain('hello')
  })

  test('refuses what the policy does not allow', async () => {
    const { code, stderr } = await release.kubectl('ana', ['get', 'pods', '-n', 'kube-system'])
    expect(code).toBe(1)
    expect(stderr).toContain('Forbidden')
  })

  test('makes nobody more than it is itself, even where the policy would', async () => {
    const bind = ['create', 'clusterrolebinding', 'helm-more', '--clusterrole=cluster-admin', '--user=ana@example.com']
    const { code, stderr } = await release.kubectl('admin', bind)
    expect(code).toBe(1)
    expect(stderr).toContain('system:serviceaccount:helm-full:postern')
    expect(stderr).toContain('attempting to grant RBAC permissions not currently held')
    const as = await release.kubectl('admin', ['get', 'nodes', '--as=ana@example.com', '--as-group=system:masters'])
    expect(as.code).toBe(1)
    expect(as.stderr).toContain('Forbidden')
  })

  test('takes a policy from its ConfigMap without a restart', async () => {
    const list = ['get', 'configmaps', '-n', 'default']
    const answer = async () => (await release.kubectl('omar', list)).code
    expect(await answer()).toBe(1)
    await release.replacePolicies((text) => text.replace('resources: [pods], ', 'resources: [pods, configmaps], '))
    await expect.poll(answer).toBe(0)
    expect(release.log).toContain('policy.replaced')
    await release.replacePolicies((text) => text.replace('resources: [pods, configmaps], ', 'resources: [pods], '))
    await expect.poll(answer).toBe(1)
  })

  test('says in one line that it has lost its rights', async () => {
    const restore = await release.loseRights()
    expect((await release.kubectl('ana', ['get', 'pods', '--namespace=default'])).stderr).toContain('cannot list')
    await expect
      .poll(() => release.readiness())
      .toMatch(/\[\+\]socket\/in-cluster ok, but the credential of the connector has no rights .*\n/)
    expect(release.log.split('\n').filter((line) => line.includes('has no rights'))).toHaveLength(1)
    await restore()
  })
})

test('a release for a trial is ready with a certificate of its own, whose authority it keeps', async () => {
  const release = await releaseOf('trial')
  onTestFinished(async () => {
    expect(await release.remove()).toBe(0)
  })
  const ca = await readFile(join(release.volumePath('state'), 'trial-ca.crt'), 'utf8')
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(release.url).port), ca })
  await once(socket, 'secureConnect')
  expect(socket.authorized).toBe(true)
  socket.destroy()
})

describe('a release with least rights', () => {
  let release: Release

  beforeAll(async () => {
    release = await releaseOf('least')
    // What the cluster itself gives to the group.
    const binding = ['create', 'rolebinding', 'helm-readers', '--role=helm-readers', '--group=payments-dev']
    await kubectlOutput(admin, ['create', 'role', 'helm-readers', '--verb=get,list', '--resource=pods,pods/log'])
    await kubectlOutput(admin, binding)
  })
  afterAll(async () => {
    await kubectlOutput(admin, ['delete', 'role/helm-readers', 'rolebinding/helm-readers'])
    expect(await release.remove()).toBe(0)
    expect(complaintsOf(release.log)).toEqual([])
  })

  test('has the rights to ask for readiness and to act as those people, and no others', () => {
    expect(release.find('ClusterRole', 'helm-least-postern').rules).toEqual([
      { apiGroups: [''], resources: ['groups'], verbs: ['impersonate'], resourceNames: ['payments-dev', 'everyone'] },
      { apiGroups: [''], resources: ['users'], verbs: ['impersonate'], resourceNames: ['ana@example.com'] },
      { nonResourceURLs: ['/readyz', '/version'], verbs: ['get'] },
    ])
  })

  test.concurrent.each([
    ['get', 'pods'],
    ['create', 'pods/exec'],
    ['get', 'secrets'],
    ['impersonate', 'users/omar@example.com'],
    ['impersonate', 'groups/system:masters'],
    ['impersonate', 'serviceaccounts'],
    ['create', 'tokenreviews.authentication.k8s.io'],
    ['list', 'clusterposternpolicies.postern.dev'],
  ])('may not %s %s in its own name', async (verb, what) => {
    const itself = '--as=system:serviceaccount:helm-least:postern'
    const { code, stdout } = await runKubectl(admin, ['auth', 'can-i', verb, what, itself, '--namespace=default'])
    expect([code, stdout]).toEqual([1, 'no\n'])
  })

  test('does what the policy and the cluster allow', async () => {
    const { code, stdout } = await release.kubectl('ana', ['get', 'pods', '-n', 'default', '-o', 'name'])
    expect(code).toBe(0)
    expect(stdout).toContain('pod/toolbox')
  })

  test.each<[string, 'ana' | 'omar' | 'admin', string[], string]>([
    ['read what the cluster keeps from the person', 'ana', ['get', 'secrets'], 'User "ana@example.com" cannot list'],
    ['open a shell that the cluster keeps from the person', 'ana', ['exec', 'toolbox', '--', 'id'], 'cannot create'],
    ['write for the person', 'ana', ['delete', 'pod', 'toolbox'], 'User "ana@example.com" cannot delete'],
    ['act as somebody else', 'omar', ['get', 'pods'], 'cannot impersonate resource'],
    ['act as an administrator', 'admin', ['get', 'pods'], 'cannot impersonate resource'],
  ])('does not %s, though the policy allows it', async (_name, person, argv, complaint) => {
    const { code, stdout, stderr } = await release.kubectl(person, [...argv, '--namespace=default'])
    expect(code).not.toBe(0)
    expect(stdout).toBe('')
    expect(stderr).toContain(complaint)
  })

  test('refuses what the policy does not allow, though the cluster would', async () => {
    await kubectlOutput(admin, [
      'create',
      'rolebinding',
      'helm-readers',
      '-n',
      'payments',
      '--clusterrole=view',
      '--group=payments-dev',
    ])
    const { code, stderr } = await release.kubectl('ana', ['get', 'pods', '-n', 'payments'])
    await kubectlOutput(admin, ['delete', 'rolebinding', 'helm-readers', '-n', 'payments'])
    expect(code).toBe(1)
    expect(stderr).toContain('no rule allows')
  })

  test('is not ready while it has lost the right to act as people, and says so in one line', async () => {
    const restore = await release.loseRights()
    const { code, stderr } = await release.kubectl('ana', ['get', 'pods', '--namespace=default'])
    expect(code).toBe(1)
    expect(stderr).toContain('cannot impersonate resource')
    await expect
      .poll(() => release.readiness())
      .toMatch(/\[-\]socket\/in-cluster failed: .* lacks the verb impersonate\n/)
    expect(await release.probe('readinessProbe')).toBe(503)
    await restore()
    await expect.poll(() => release.probe('readinessProbe')).toBe(200)
    expect(release.log.split('\n').filter((line) => line.includes('lacks the verb impersonate'))).toHaveLength(1)
    expect(await release.kubectl('ana', ['get', 'pods', '--namespace=default'])).toMatchObject({ code: 0 })
  })
})
