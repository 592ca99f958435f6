import { mkdtempSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { AuditLog } from '../../sandbox/audit-log.ts'
import { runKubectl } from '../../sandbox/kubectl.ts'
import { type TrailEvent, connectorUsername, readTrail } from './evidence.ts'
import { Kubectl } from './kubectl.ts'
import type { PersonName } from './surroundings.ts'
import { asking, transports } from './transports.ts'

const surroundings = inject('surroundings')
const scratch = mkdtempSync(join(surroundings.directory, 'denials-'))
const begun = new Date()

/** Sentences as Kubernetes writes them, from the name of the object on. */
const cannot = (verb: string, resource: string, group: string, where: string): string =>
  `cannot ${verb} resource "${resource}" in API group "${group}" ${where}`
const inDefault = 'in the namespace "default"'
const inPayments = 'in the namespace "payments"'
const anywhere = 'at the cluster scope'

interface Denial {
  readonly as: PersonName
  readonly argv: readonly string[]
  /** Part of every refusal's message. */
  readonly sentence: string
  readonly reason: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

const manifest = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"a":"b"}}'

const nothingAllows = 'no rule allows it'
const allowsNothing = 'no rule allows this user anything on this socket'
const words = (argv: string): string[] => argv.split(' ')

/** Omar may get and list pods in `default`, and nothing else. */
const viewers: readonly Denial[] = [
  ['get secrets', cannot('list', 'secrets', '', inDefault)],
  ['get secret db --output=yaml', cannot('get', 'secrets', '', inDefault)],
  ['get pods,secrets', cannot('list', 'secrets', '', inDefault)],
  ['get pods --namespace=payments', cannot('list', 'pods', '', inPayments)],
  ['get pods --all-namespaces', cannot('list', 'pods', '', anywhere)],
  ['get deployments', cannot('list', 'deployments', 'apps', inDefault)],
  ['get widget blue', cannot('get', 'widgets', 'example.com', inDefault)],
  ['get nodes', cannot('list', 'nodes', '', anywhere)],
  ['get --raw /metrics', 'cannot get path "/metrics"'],
  ['get --raw /api/v1/namespaces/default/secrets', cannot('list', 'secrets', '', inDefault)],
  ['get --raw /apis/unknown.example.com/v1/things', cannot('list', 'things', 'unknown.example.com', anywhere)],
  ['create configmap new --from-literal=a=b', cannot('create', 'configmaps', '', inDefault)],
  ['create namespace new', cannot('create', 'namespaces', '', anywhere)],
  ['create token default', cannot('create', 'serviceaccounts/token', '', inDefault)],
  ['run new --image=busybox', cannot('create', 'pods', '', inDefault)],
  ['apply --filename=-', cannot('get', 'configmaps', '', inDefault), manifest],
  ['apply --server-side --filename=-', cannot('patch', 'configmaps', '', inDefault), manifest],
  ['replace --filename=-', cannot('update', 'configmaps', '', inDefault), manifest],
  ['patch pod toolbox --patch={"metadata":{"labels":{"a":"b"}}}', cannot('patch', 'pods', '', inDefault)],
  ['label pod toolbox a=b', cannot('patch', 'pods', '', inDefault)],
  ['debug toolbox --image=busybox', cannot('patch', 'pods/ephemeralcontainers', '', inDefault)],
  ['rollout restart deployment/web', cannot('get', 'deployments', 'apps', inDefault)],
  ['delete pod toolbox', cannot('delete', 'pods', '', inDefault)],
  ['delete pods --selector=app=web', cannot('delete', 'pods', '', inDefault)],
  ['delete --raw /api/v1/namespaces/default/pods', cannot('deletecollection', 'pods', '', inDefault)],
  ['logs toolbox', cannot('get', 'pods/log', '', inDefault)],
  // The newest kubectls ask again until a time is over, whatever the refusal.
  ['logs toolbox --follow --pod-running-timeout=1s', cannot('get', 'pods/log', '', inDefault)],
].map(([argv = '', sentence = '', input]) => ({
  as: 'omar',
  argv: words(argv),
  sentence,
  reason: nothingAllows,
  ...(input === undefined ? {} : { input }),
}))

const sessions: readonly Denial[] = transports.flatMap((transport) =>
  [
    ['exec toolbox -- id', 'exec'],
    ['exec --stdin toolbox -- sh', 'exec'],
    ['attach toolbox', 'attach'],
    ['port-forward pod/toolbox :80', 'portforward'],
    ['cp toolbox:/etc/hostname COPY', 'exec'],
    ['cp /etc/hostname toolbox:hostname', 'exec'],
  ].map(([argv = '', subresource = '']): Denial => ({
    as: 'omar',
    argv: words(argv.replace('COPY', join(scratch, 'copy'))),
    sentence: cannot('create', `pods/${subresource}`, '', inDefault),
    reason: nothingAllows,
    env: asking(transport),
  })),
)

/** Mallory signed in, and may do nothing; Ana may do nearly everything in `default`, and little elsewhere. */
const others: readonly Denial[] = [
  ['mallory', 'get pods', cannot('list', 'pods', '', inDefault), allowsNothing],
  ['mallory', 'get namespaces', cannot('list', 'namespaces', '', anywhere), allowsNothing],
  ['mallory', 'exec toolbox -- id', cannot('get', 'pods', '', inDefault), allowsNothing],
  ['mallory', 'delete deployment web', cannot('delete', 'deployments', 'apps', inDefault), allowsNothing],
  ['ana', 'get secret db', cannot('get', 'secrets', '', inDefault), 'rule developers#3 denies it'],
  ['ana', 'create secret generic new --from-literal=a=b', cannot('create', 'secrets', '', inDefault), 'developers#3'],
  ['ana', 'get secrets --all-namespaces', cannot('list', 'secrets', '', anywhere), 'rule developers#3 denies it'],
  [
    'ana',
    'delete deployment ledger --namespace=payments',
    cannot('delete', 'deployments', 'apps', inPayments),
    'lacks namespace "payments"',
  ],
  [
    'ana',
    'scale deployment/ledger --replicas=0 --namespace=payments',
    cannot('patch', 'deployments/scale', 'apps', inPayments),
    nothingAllows,
  ],
  [
    'ana',
    'exec deployment/ledger --namespace=payments -- id',
    cannot('create', 'pods/exec', '', inPayments),
    nothingAllows,
  ],
  ['ana', 'get nodes', cannot('list', 'nodes', '', anywhere), nothingAllows],
  ['ana', 'get pods --as=admin@example.com', cannot('impersonate', 'users', '', anywhere), nothingAllows],
  ['admin', 'get pods --as=ana@example.com', cannot('impersonate', 'users', '', anywhere), nothingAllows],
].map(([as = '', argv = '', sentence = '', reason = '']) => ({
  as: as as PersonName,
  argv: words(argv),
  sentence,
  reason,
}))

/** Before 1.32, kubectl keeps to itself why a watch was refused: `unknown (get pods)`, whoever refuses it. */
const watch: Denial = {
  as: 'omar',
  argv: words('get pods --watch-only'),
  sentence: cannot('watch', 'pods', '', inDefault),
  reason: nothingAllows,
}

/** The messages of sessions and of lists differ from one kubectl to the next. */
const versions = new Set([surroundings.kubectls[0], surroundings.kubectls.at(-1)].filter((each) => each !== undefined))
/** Who was told which audit id. */
const quoted = new Map<string, string>()

for (const version of versions) {
  describe(`kubectl ${version.version} is denied and told why`, { concurrent: true }, () => {
    const told = [...viewers, ...sessions, ...others, ...(version.minor >= 32 ? [watch] : [])]
    for (const { as, argv, sentence, reason, input, env = {} } of told) {
      test([as, ...argv, ...Object.values(env).slice(0, 1)].join(' '), async () => {
        const kubectl = new Kubectl(surroundings, version, as, 'default')
        const { code, stderr } = await kubectl.run(argv, { env, ...(input === undefined ? {} : { input }) })
        expect(code, stderr).toBe(1)
        expect(stderr).toContain('forbidden')
        expect(stderr).toContain(`User "${as}@example.com" ${sentence}: `)
        expect(stderr).toContain(reason)
        const ids = [...stderr.matchAll(/\(audit id ([0-9a-f-]{36})\)/g)].map(([, id = '']) => id)
        expect(ids.length, stderr).toBeGreaterThan(0)
        for (const id of ids) quoted.set(id, as)
      })
    }
  })
}

for (const version of versions) {
  test(`kubectl ${version.version} is told to sign in when its token is no good`, async () => {
    const kubeconfig = await writeKubeconfigWithToken('nonsense', `nonsense-${version.minor}.yaml`)
    const nobody = { kubectl: version.path, kubeconfig, env: { HOME: scratch } }
    const raw = await runKubectl(nobody, ['get', '--raw', '/api/v1/namespaces/default/pods'])
    expect(raw.stderr).toMatch(/^error: You must be logged in to the server \(.*; sign in with "postern client login"/)
    for (const argv of ['get pods', 'exec toolbox -- id', 'logs toolbox']) {
      const { code, stderr } = await runKubectl(nobody, words(argv))
      expect(code).toBe(1)
      expect(stderr).toContain('error: You must be logged in to the server')
    }
  })
}

test('of every denial the trail tells once, and the API server not at all', async () => {
  const upstream = await new AuditLog(surroundings.controlPlane).read()
  const trail = await readTrail(surroundings.connector.auditLog)
  const denied = trail.filter(
    ({ requestReceivedTimestamp, responseStatus }) =>
      new Date(requestReceivedTimestamp) >= begun && [401, 403].includes(responseStatus?.code ?? 0),
  )
  expect(denied.length).toBeGreaterThan(quoted.size)

  for (const [id, as] of quoted) {
    const events = trail.filter(({ auditID }) => auditID === id)
    expect(events).toMatchObject([
      { stage: 'ResponseComplete', user: { username: `${as}@example.com` }, responseStatus: { reason: 'Forbidden' } },
    ])
  }
  const ids = new Set(denied.map(({ auditID }) => auditID))
  expect(upstream.filter(({ auditID }) => ids.has(auditID))).toEqual([])
  expect(unaccounted(upstream, trail)).toEqual([])
})

/** Path of a kubeconfig for the shared connector that presents a token. */
async function writeKubeconfigWithToken(token: string, name: string): Promise<string> {
  const { kubernetesURL, certificateAuthority } = surroundings.connector
  const cluster = { server: `${kubernetesURL}/sockets/production`, 'certificate-authority': certificateAuthority.path }
  const path = join(scratch, name)
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'production', cluster }],
    users: [{ name: 'nobody', user: { token } }],
    contexts: [{ name: 'nobody', context: { cluster: 'production', user: 'nobody' } }],
    'current-context': 'nobody',
  }
  await writeFile(path, JSON.stringify(config))
  return path
}

/** What the connector sent to the API server without having allowed it. */
function unaccounted(upstream: readonly TrailEvent[], trail: readonly TrailEvent[]): TrailEvent[] {
  const allowed = new Set(
    trail.filter(({ annotations }) => annotations?.['postern.dev/decision'] === 'allow').map(({ auditID }) => auditID),
  )
  return upstream.filter(
    ({ user, userAgent = '', auditID }) =>
      user.username === connectorUsername && userAgent.startsWith('kubectl') && !allowed.has(auditID),
  )
}
