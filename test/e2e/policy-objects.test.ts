import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { type Connector, startConnector } from '../../sandbox/connector.ts'
import { type KubectlResult, kubectlOutput, runKubectl } from '../../sandbox/kubectl.ts'
import { stopWithin } from './graceful-end.ts'
import { RunningProgram } from './running-program.ts'

const surroundings = inject('surroundings')
const { controlPlane } = surroundings
const admin = { kubectl: controlPlane.kubectl, kubeconfig: controlPlane.adminKubeconfig }
const definitions = new URL('../../deploy/crds/', import.meta.url).pathname
const page = new URL('../../docs/policies-as-objects.md', import.meta.url)

const ACCOUNT = 'postern-objects'
/** How long a change may take to be in force, in milliseconds. */
const IN_FORCE_WITHIN_MS = 2_000

const GUARD = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: guard }
spec:
  subjects: { groups: [system:authenticated] }
  rules: [{ effect: deny, verbs: ['*'], resources: [nodes] }]
`

interface Kubeconfig {
  readonly clusters: { cluster: Record<string, unknown> }[]
  readonly users: { user: { exec: { command: string; args: string[]; env?: { name: string; value: string }[] } } }[]
}

let connector: Connector
let kubeconfig: string
let token: string
let agent: Agent

beforeAll(async () => {
  const directory = await mkdtemp(join(surroundings.directory, 'policy-objects-'))
  await kubectlOutput(admin, ['apply', '-f', definitions])
  await kubectlOutput(admin, ['wait', '--for=condition=Established', '-f', definitions, '--timeout=60s'])
  // What the page says that the connector needs, and what the people are to do.
  const [, role = ''] = /```yaml\n(apiVersion: rbac[\s\S]*?)```/.exec(await readFile(page, 'utf8')) ?? []
  await kubectlOutput({ ...admin, input: role }, ['apply', '-f', '-'])
  await kubectlOutput(admin, ['create', 'serviceaccount', ACCOUNT])
  for (const bound of ['postern-policies', 'edit'])
    await kubectlOutput(admin, [
      'create',
      'clusterrolebinding',
      `${ACCOUNT}-${bound}`,
      `--clusterrole=${bound}`,
      `--serviceaccount=default:${ACCOUNT}`,
    ])
  await writeFile(join(directory, 'token'), await kubectlOutput(admin, ['create', 'token', ACCOUNT]))
  await writeFile(join(directory, 'guard.yaml'), GUARD)
  connector = await startConnector(directory, {
    sockets: [
      {
        name: 'production',
        upstream: {
          server: {
            url: controlPlane.server,
            certificateAuthority: controlPlane.certificateAuthority.path,
            credential: { token: { file: 'token' } },
          },
        },
      },
    ],
    policies: ['guard.yaml'],
    policyObjects: { socket: 'production', namespaced: true },
    issuer: surroundings.issuer,
  })
  await connector.ready()
  agent = new Agent({ ca: connector.certificateAuthority.pem, keepAlive: true })

  // Ana's own kubeconfig, led to this connector.
  const own = parse(await readFile(surroundings.kubeconfigs.ana, 'utf8')) as Kubeconfig
  const authority = Buffer.from(connector.certificateAuthority.pem).toString('base64')
  for (const { cluster } of own.clusters) {
    delete cluster['certificate-authority']
    Object.assign(cluster, {
      server: `${connector.kubernetesURL}/sockets/production`,
      'certificate-authority-data': authority,
    })
  }
  await mkdir(join(directory, 'ana'))
  kubeconfig = join(directory, 'ana', 'config')
  await writeFile(kubeconfig, stringify(own))
  const { command = '', args = [], env = [] } = own.users[0]?.user.exec ?? {}
  const environment = Object.fromEntries(env.map(({ name, value }) => [name, value]))
  const { stdout } = await promisify(execFile)(command, args, { env: { ...process.env, ...environment } })
  token = (JSON.parse(stdout) as { status: { token: string } }).status.token
})

afterAll(async () => {
  agent.destroy()
  await stopWithin(connector, 15_000)
  await kubectlOutput(admin, ['delete', '-f', definitions])
  await kubectlOutput(admin, [
    'delete',
    `clusterrolebinding/${ACCOUNT}-postern-policies`,
    `clusterrolebinding/${ACCOUNT}-edit`,
    'clusterrole/postern-policies',
  ])
  await kubectlOutput(admin, ['delete', 'serviceaccount', ACCOUNT])
})

const ana = (...argv: string[]): Promise<KubectlResult> =>
  runKubectl({ kubectl: controlPlane.kubectl, kubeconfig }, argv)

/** What Ana is answered, without the time that a kubectl takes. */
function answered(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const url = `${connector.kubernetesURL}/sockets/production${path}`
    get(url, { agent, headers: { Authorization: `Bearer ${token}` } }, (response) => {
      response.resume().once('end', () => {
        resolve(response.statusCode ?? 0)
      })
    }).once('error', reject)
  })
}

async function untilAnswered(path: string, code: number): Promise<number> {
  const begun = performance.now()
  await expect.poll(() => answered(path), { interval: 10 }).toBe(code)
  return performance.now() - begun
}

function policy(kind: 'ClusterPosternPolicy' | 'PosternPolicy', name: string, rules: object[], more: object = {}) {
  const metadata = { name, ...(kind === 'PosternPolicy' && { namespace: 'default' }) }
  const spec = { subjects: { users: ['ana@example.com'] }, rules, ...more }
  return JSON.stringify({ apiVersion: 'postern.dev/v1alpha1', kind, metadata, spec })
}

const apply = (object: string): Promise<KubectlResult> => runKubectl({ ...admin, input: object }, ['apply', '-f', '-'])

const accepted = async (object: string, becomes: 'True' | 'False'): Promise<string> => {
  await kubectlOutput(admin, ['wait', `--for=condition=Accepted=${becomes}`, object, '--timeout=20s'])
  return kubectlOutput(admin, ['get', object, '-o=jsonpath={.status.conditions[0].message}'])
}

const list = { verbs: ['get', 'list'], resources: ['services'] }

describe('a policy that is an object', () => {
  test('is in force soon after it was applied, is told that it is accepted, and is withdrawn when it is deleted', async () => {
    const services = '/api/v1/namespaces/payments/services'
    expect(await answered(services)).toBe(403)
    expect(await apply(policy('ClusterPosternPolicy', 'services', [list]))).toMatchObject({ code: 0 })
    expect(await untilAnswered(services, 200)).toBeLessThan(IN_FORCE_WITHIN_MS)
    expect(await accepted('clusterposternpolicy/services', 'True')).toBe('Its rules are in force.')
    const { stdout } = await ana('get', 'services', '-n', 'payments')
    expect(stdout).toContain('ledger')
    expect(await kubectlOutput(admin, ['get', 'clusterposternpolicies'])).toMatch(/services +True +Accepted/)
    await kubectlOutput(admin, ['delete', 'clusterposternpolicy/services'])
    expect(await untilAnswered(services, 403)).toBeLessThan(IN_FORCE_WITHIN_MS)
  })

  test('is told what is wrong with it, with the path, and takes no other one down', async () => {
    await apply(policy('ClusterPosternPolicy', 'right', [list]))
    await untilAnswered('/api/v1/namespaces/payments/services', 200)
    const timeOfDay = { from: '08:00', to: '18:00', timeZone: 'Mars/Olympus' }
    await apply(
      policy('ClusterPosternPolicy', 'mars', [{ ...list, resources: ['pods'] }], { conditions: { timeOfDay } }),
    )
    const rules = [{ verbs: ['*'], resources: ['*'], except: { resourceNames: ['db'], resource: ['secrets'] } }]
    await apply(policy('ClusterPosternPolicy', 'misspelt', rules))
    expect(await accepted('clusterposternpolicy/mars', 'False')).toMatch(
      /^spec\.conditions\.timeOfDay\.timeZone: is no time/,
    )
    expect(await accepted('clusterposternpolicy/misspelt', 'False')).toMatch(
      /^spec\.rules\[0\]\.except\.resource: unknown key/,
    )
    expect(await answered('/api/v1/namespaces/payments/services')).toBe(200)
    expect(await answered('/api/v1/namespaces/payments/pods')).toBe(403)
    const readyz = await (await fetch(`${connector.opsURL}/readyz?verbose`)).text()
    expect(readyz).toContain('[+]policy-objects ok, but 2 are not accepted')

    // What was right stays as it was when it is changed for the worse.
    await apply(policy('ClusterPosternPolicy', 'right', [list], { conditions: { timeOfDay } }))
    await accepted('clusterposternpolicy/right', 'False')
    expect(await answered('/api/v1/namespaces/payments/services')).toBe(200)
    await kubectlOutput(admin, ['delete', 'clusterposternpolicies', '--all'])
    await untilAnswered('/api/v1/namespaces/payments/services', 403)
  })

  test.each([
    ['a verb that is none', [{ ...list, verbs: ['GET'] }], {}],
    ['no resources', [{ verbs: ['get'] }], {}],
    ['resources and paths', [{ ...list, nonResourceURLs: ['/metrics'] }], {}],
    ['an empty list', [{ ...list, namespaces: [] }], {}],
    ['no rules', [], {}],
    ['a condition of another type', [list], { conditions: { sourceIPs: '10.0.0.0/8' } }],
  ])('is refused by the API server already with %s', async (_, rules, more) => {
    const { code, stderr } = await apply(policy('ClusterPosternPolicy', 'refused', rules, more))
    expect([code, stderr]).toEqual([1, expect.stringContaining('is invalid')])
  })

  test('of a namespace allows there alone', async () => {
    const all = { verbs: ['*'], resources: ['*'] }
    await apply(policy('PosternPolicy', 'all', [all]))
    await apply(policy('PosternPolicy', 'elsewhere', [{ ...all, namespaces: ['payments'] }]))
    await apply(policy('PosternPolicy', 'deny', [{ ...all, effect: 'deny' }]))
    expect(await accepted('posternpolicy/all', 'True')).toBe('Its rules are in force.')
    expect(await accepted('posternpolicy/elsewhere', 'False')).toMatch(/^spec\.rules\[0\]\.namespaces: unknown key/)
    expect(await accepted('posternpolicy/deny', 'False')).toMatch(/^spec\.rules\[0\]\.effect: unknown key/)
    await untilAnswered('/api/v1/namespaces/default/configmaps', 200)
    expect(await answered('/api/v1/namespaces/payments/configmaps')).toBe(403)
    expect(await answered('/api/v1/configmaps')).toBe(403)
    expect(await answered('/api/v1/namespaces/default')).toBe(403)
    const write = await ana('delete', 'posternpolicy', 'all', '-n', 'default')
    expect([write.code, write.stderr]).toEqual([1, expect.stringContaining('cannot escalate resource')])
    await kubectlOutput(admin, ['delete', 'posternpolicies', '--all'])
    await untilAnswered('/api/v1/namespaces/default/configmaps', 403)
  })

  test('ends the sessions that it alone allowed when it is deleted', async () => {
    const rules = [
      { verbs: ['get'], resources: ['pods'] },
      { verbs: ['create'], resources: ['pods/exec'] },
    ]
    await apply(policy('PosternPolicy', 'shell', rules))
    await untilAnswered('/api/v1/namespaces/default/pods/toolbox', 200)
    const script = 'echo ready; sleep 600'
    const argv = ['exec', '-n', 'default', 'toolbox', '--', 'sh', '-c', script]
    await using session = new RunningProgram(controlPlane.kubectl, argv, { KUBECONFIG: kubeconfig })
    await session.says(/ready/)
    const deletedAt = performance.now()
    await kubectlOutput(admin, ['delete', 'posternpolicy/shell', '-n', 'default'])
    await session.says(/no longer allowed|ended|no rule allows/i, 'stderr')
    expect(performance.now() - deletedAt).toBeLessThan(3 * IN_FORCE_WITHIN_MS)
  })

  test('leaves no complaint in the log but of the objects that are refused', () => {
    const complaints = connector
      .log()
      .split('\n')
      .filter((line) => /"level":[456]0.*"policy\.(?!object\.refused)/.test(line))
    expect(complaints).toEqual([])
  })
})
