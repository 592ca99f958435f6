import { once } from 'node:events'
import { copyFile, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { kubectlOutput, runKubectl } from '../../sandbox/kubectl.ts'
import { type Helm, startHelm } from '../support/helm.ts'
import { hasUsers } from '../support/pod-process.ts'
import { complaintsOf } from './graceful-end.ts'
import { type HttpsBucket, startHttpsBucket } from './helm/https-bucket.ts'
import { Release } from './helm/release.ts'
import { LEAST_RIGHTS, TRIAL, everything } from './helm/values.ts'

/*
 * The chart, rendered by helm, checked and kept by the API server, and its pod run with what the rendered manifests give
 * it: the service account with its rights, the volumes, the arguments.
 */

const surroundings = inject('surroundings')
const { controlPlane } = surroundings
const admin = { kubectl: controlPlane.kubectl, kubeconfig: controlPlane.adminKubeconfig }
const definitions = fileURLToPath(new URL('./helm/definitions.yaml', import.meta.url))

let helm: Helm

beforeAll(async () => {
  helm = await startHelm()
  await kubectlOutput(admin, ['apply', '-f', definitions])
  await kubectlOutput(admin, ['wait', '--for=condition=Established', '-f', definitions, '--timeout=60s'])
})
afterAll(async () => {
  await kubectlOutput(admin, ['delete', '-f', definitions, '--wait=false'])
})

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

  test('as the command that installs the chart, and as the least values, is taken by helm and the API server', async () => {
    const page = await readFile(new URL('../../docs/install.md', import.meta.url), 'utf8')
    const [, command = ''] = /^(helm install [^]*?[^\\])$/m.exec(page) ?? []
    const [, values = ''] = /```yaml\n(image:[^]*?)```/.exec(page) ?? []
    const directory = await mkdtemp(join(surroundings.directory, 'installed-'))
    await symlink(fileURLToPath(new URL('../../deploy', import.meta.url)), join(directory, 'deploy'))
    await writeFile(join(directory, 'values.yaml'), values)
    await copyFile(new URL('../../examples/helm/developers.yaml', import.meta.url), join(directory, 'developers.yaml'))
    expect(await dryRun(command, directory)).toContain('STATUS: pending-install')
  })

  test('as the command of the example is taken by helm and the API server', async () => {
    const directory = fileURLToPath(new URL('../../examples/helm/', import.meta.url))
    const readme = await readFile(join(directory, 'README.md'), 'utf8')
    const [, command = ''] = /^ *(helm install [^]*?[^\\])$/m.exec(readme) ?? []
    expect(await dryRun(command, directory)).toContain('STATUS: pending-install')
  })

  function dryRun(command: string, directory: string): Promise<string> {
    const home = surroundings.directory
    return helm.shell(`${command} --dry-run=server`, { directory, home, kubeconfig: admin.kubeconfig })
  }

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
type ReleaseName = 'everything' | 'full' | 'least' | 'trial'
const made = new Map<ReleaseName, Promise<Release>>()
let bucket: HttpsBucket

async function make(name: ReleaseName): Promise<Release> {
  const values = { everything: everything(bucket.s3), full: {}, least: LEAST_RIGHTS, trial: TRIAL }
  const kubeconfig = ['config', 'view', '--raw', '--flatten']
  const secrets = {
    kubeconfigs: { elsewhere: await kubectlOutput(admin, kubeconfig), 'ca.crt': bucket.certificateAuthority },
    bucket: bucket.store.environment,
  }
  const release = await Release.render(surroundings, helm, `helm-${name}`, values[name], secrets)
  await release.apply()
  await release.run()
  return release
}

beforeAll(async () => {
  bucket = await startHttpsBucket()
  for (const name of ['everything', 'full', 'least', 'trial'] as const) {
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
  await bucket[Symbol.asyncDispose]()
})

/*
 * What a connector cannot see: there are no controllers for the Certificate (its Secret is written by the test), the Ingress, the
 * TLSRoutes, the load balancer, the ServiceMonitor and the NetworkPolicy, and no provisioner for the claims. The API server
 * checks them, and no more.
 */
describe('everything that the chart can make', () => {
  let release: Release

  beforeAll(async () => {
    release = await releaseOf('everything')
  })
  afterAll(async () => {
    expect(await release.remove()).toBe(0)
    expect(complaintsOf(release.log)).toEqual([])
  })

  test('is taken by the API server, pods of the restricted profile included', async () => {
    expect([...new Set(release.manifests.map(({ kind }) => kind))].sort()).toEqual([
      ...['Certificate', 'ClusterRole', 'ClusterRoleBinding', 'ConfigMap', 'Ingress', 'NetworkPolicy'],
      ...['PodDisruptionBudget', 'Service', 'ServiceAccount', 'ServiceMonitor', 'StatefulSet', 'TLSRoute'],
    ])
    await expect.poll(() => release.pods()).toEqual(['pod/postern-0', 'pod/postern-1'])
    await expect
      .poll(() => release.claims())
      .toEqual(['audit-postern-0', 'audit-postern-1', 'state-postern-0', 'state-postern-1'])
  })

  test('can be upgraded, its claims included', async () => {
    const { metadata } = release.workload
    expect(metadata.labels?.['helm.sh/chart']).toBe('postern-0.1.0')
    await expect(release.tryUpgrade('0.1.0', '0.2.0')).resolves.toBeUndefined()
    await expect(release.tryUpgrade('storage: 20Gi', 'storage: 30Gi')).rejects.toThrow(
      'Forbidden: updates to statefulset',
    )
  })

  test('lives, is ready, and asks as the person in its own cluster', async () => {
    expect(await release.probe('livenessProbe')).toBe(200)
    expect(await release.readiness()).toMatch(/\[\+\]socket\/elsewhere ok\n/)
    const { code, stderr } = await release.kubectl('ana', ['get', 'secrets', '--namespace=default'])
    expect(code).toBe(1)
    expect(stderr).toContain('User "ana@example.com" cannot list resource "secrets"')
  })

  test('brings what is done in a pod of another cluster to the bucket, encrypted, with what its variables and its Secrets say', async () => {
    const exec = ['exec', 'toolbox', '--namespace=default', '--', 'echo', 'hello']
    expect(await release.kubectl('ana', exec, 'elsewhere')).toMatchObject({ code: 0, stdout: 'hello\n' })
    const kept = () => readdir(bucket.store.file(''), { recursive: true })
    await expect.poll(kept).toContainEqual(expect.stringMatching(/^[0-9a-f-]{36}\/manifest\.json$/))
    const entries = await readdir(bucket.store.file(''), { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    expect(files.length).toBeGreaterThan(1)
    for (const { parentPath, name } of files)
      expect(await readFile(join(parentPath, name), 'utf8'), name).not.toContain('hello')
    expect(await readFile(join(release.volumePath('audit'), 'audit.jsonl'), 'utf8')).toContain('"RequestReceived"')
  })

  test('runs as the user of the manifest, who cannot become more', { skip: !hasUsers }, async () => {
    expect(await release.processStatus()).toMatchObject({
      ...{ Uid: '65532\t65532\t65532\t65532', Gid: '65532\t65532\t65532\t65532', NoNewPrivs: '1' },
      ...{ CapEff: '0000000000000000', CapPrm: '0000000000000000', CapBnd: '0000000000000000' },
    })
    expect((await release.processStatus())['Groups']?.trim()).toBe('65532')
  })

  test('reads its files by their group alone, and can write its own only', { skip: !hasUsers }, async () => {
    expect(await release.groupAndMode('/etc/postern/tls/tls.key')).toEqual([65532, '440'])
    expect(await release.groupAndMode('/var/run/secrets/kubernetes.io/serviceaccount/token')).toEqual([65532, '640'])
    expect(await release.groupAndMode('/var/lib/postern/state')).toEqual([65532, '2775'])
    for (const path of ['/', '/etc', '/tmp', '/etc/postern/connector', '/etc/postern/tls', '/var/lib/postern'])
      await expect(writeFile(release.pathInPod(join(path, 'x')), ''), path).rejects.toThrow('EROFS')
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

  test('is refused the direct ways to more than it has, even where the policy allows them', async () => {
    const bind = ['create', 'clusterrolebinding', 'helm-more', '--clusterrole=cluster-admin', '--user=ana@example.com']
    const { code, stderr } = await release.kubectl('admin', bind)
    expect(code).toBe(1)
    expect(stderr).toContain('system:serviceaccount:helm-full:postern')
    expect(stderr).toContain('attempting to grant RBAC permissions not currently held')
    const as = await release.kubectl('admin', ['get', 'nodes', '--as=ana@example.com', '--as-group=system:masters'])
    expect(as.code).toBe(1)
    expect(as.stderr).toContain('Forbidden')
  })

  test('is cluster-admin in effect: who may have the token of a controller through it has what it has not', async () => {
    const ofController = ['create', 'token', 'clusterrole-aggregation-controller', '--namespace=kube-system']
    const { code, stdout: token } = await release.kubectl('admin', ofController)
    expect(code).toBe(0)
    const canI = async (who: string) =>
      (await runKubectl(admin, ['auth', 'can-i', 'escalate', 'clusterroles', who])).stdout.trim()
    expect(await canI(`--token=${token.trim()}`)).toBe('yes')
    expect(await canI('--as=system:serviceaccount:helm-full:postern')).toBe('no')
  })

  test.each([
    ['the token of a service account', ['create', 'token', 'default', '--namespace=default']],
    ['a token in kube-system', ['create', 'token', 'clusterrole-aggregation-controller', '--namespace=kube-system']],
    ['a role of any rights', ['create', 'role', 'any', '--verb=*', '--resource=*', '--namespace=default']],
  ])('gives nobody %s whose policy does not name it', async (_name, argv) => {
    const { code, stdout, stderr } = await release.kubectl('ana', argv)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('no rule allows it')
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
