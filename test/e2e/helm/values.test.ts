import { describe, expect, inject, test, beforeAll } from 'vitest'
import { parse } from 'yaml'
import { type Helm, startHelm } from '../../support/helm.ts'
import { type Manifest, parseManifests } from './release.ts'
import { LEAST_RIGHTS, leastValues } from './values.ts'

/*
 * What the chart makes of values, and which it refuses, as helm renders it. Nothing is applied.
 */

const STATED = leastValues(inject('surroundings'), { kubernetes: 8443, portal: 8444 })
const CERT_MANAGER = { existingSecret: '', certManager: { issuerRef: { name: 'letsencrypt', kind: 'ClusterIssuer' } } }
const BUCKET = { bucket: 'recordings', region: 'eu-central-1' }
const ON_EMPTY_DIR = { volume: { kind: 'emptyDir', size: '1Gi' } }
let helm: Helm

beforeAll(async () => {
  helm = await startHelm()
})

async function render(values: object): Promise<Manifest[]> {
  return parseManifests(await helm.template({ name: 'postern', namespace: 'default' }, { ...STATED, ...values }))
}

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
    [
      'a publicURL over http',
      { kubernetes: { publicURL: 'http://kube.example.com' } },
      /does not match pattern '\^https/,
    ],
    [
      'a publicURL with a path',
      { portal: { publicURL: 'https://x.example.com/y' } },
      /does not match pattern '\^https/,
    ],
    ['a trial beside a Secret', { tls: { existingSecret: 'listeners', trial: true } }, /pass over the one of/],
    ['a trial beside cert-manager', { tls: { ...CERT_MANAGER, trial: true } }, /pass over the one of/],
    ['a Secret beside cert-manager', { tls: { ...CERT_MANAGER, existingSecret: 'x' } }, /each name a Secret/],
    [
      'a trial of two replicas',
      { replicas: 2, tls: { existingSecret: '', trial: true }, recordings: { s3: BUCKET, ...ON_EMPTY_DIR } },
      /each replica would make an authority of its own/,
    ],
    ['two replicas with recordings of their own', { replicas: 2 }, /each would list and play its own recordings only/],
    [
      'two replicas on one claim',
      { replicas: 2, recordings: { s3: BUCKET, ...ON_EMPTY_DIR } },
      /state\.volume: one connector holds the lock of a claim; with kind: StatefulSet/,
    ],
    [
      'two replicas on a claim of yours',
      { kind: 'StatefulSet', replicas: 2, recordings: { enabled: false }, state: claimed('mine') },
      /state\.volume: one connector holds the lock of a claim, so replicas cannot share one/,
    ],
    ['metrics that nobody may read', { metrics: { enabled: true } }, /networkPolicy.metricsFrom: .* keep Prometheus/],
    [
      'a ServiceMonitor that nobody lets in',
      { metrics: { enabled: true, serviceMonitor: { enabled: true } } },
      /networkPolicy.metricsFrom: .* keep Prometheus/,
    ],
    [
      'a ServiceMonitor without metrics',
      { metrics: { serviceMonitor: { enabled: true } } },
      /metrics.serviceMonitor: nothing would be scraped/,
    ],
    [
      'an address where hosts are told by name',
      { gateway: { enabled: true, parentRefs: [{ name: 'public' }] }, portal: { publicURL: 'https://p.example.com' } },
      /knows hosts by name, and 127\.0\.0\.1 is an address/,
    ],
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
  [{ recordings: { s3: BUCKET } }, { shutdownDelay: '5s', drainTimeout: '30s' }, 65],
  [{ recordings: { enabled: false, s3: BUCKET } }, { shutdownDelay: '5s', drainTimeout: '30s' }, 40],
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

test.each<[string, object, string[] | undefined, string[] | undefined]>([
  [
    'host names',
    { kubernetes: at('https://kube.example.com'), portal: at('https://p.example.com:8444') },
    ['kube.example.com', 'p.example.com'],
    undefined,
  ],
  [
    'addresses',
    { kubernetes: at('https://10.0.0.5'), portal: at('https://[fd00::1]:8444') },
    undefined,
    ['10.0.0.5', 'fd00::1'],
  ],
  [
    'both',
    { kubernetes: at('https://10.0.0.5'), portal: at('https://p.example.com/') },
    ['p.example.com'],
    ['10.0.0.5'],
  ],
])('a Certificate of cert-manager is for %s', async (_name, values, dnsNames, ipAddresses) => {
  const manifests = await render({ ...values, tls: CERT_MANAGER })
  const { spec } = manifests.find(({ kind }) => kind === 'Certificate') ?? {}
  expect([spec?.dnsNames, spec?.ipAddresses]).toEqual([dnsNames, ipAddresses])
})

test("a Certificate of cert-manager joins hosts of one's own, and its Secret and key are what they are said to be", async () => {
  const certManager = {
    ...CERT_MANAGER.certManager,
    secretName: 'of-mine',
    dnsNames: ['more.example.com', 'kube.example.com'],
    privateKey: { algorithm: 'RSA' },
  }
  const manifests = await render({
    kubernetes: at('https://kube.example.com'),
    tls: { existingSecret: '', certManager },
  })
  expect(manifests.find(({ kind }) => kind === 'Certificate')?.spec).toEqual({
    issuerRef: CERT_MANAGER.certManager.issuerRef,
    secretName: 'of-mine',
    dnsNames: ['kube.example.com', 'more.example.com'],
    ipAddresses: ['127.0.0.1'],
    privateKey: { algorithm: 'RSA' },
    usages: ['digital signature', 'server auth'],
  })
  const { spec } = manifests.find(({ kind }) => kind === 'Deployment')?.spec?.template ?? {}
  expect(spec?.volumes.find(({ name }) => name === 'tls')?.secret?.secretName).toBe('of-mine')
})

test('replicas that keep nothing replace each other one by one, as a Deployment', async () => {
  const manifests = await render({ replicas: 3, recordings: { s3: BUCKET, ...ON_EMPTY_DIR }, state: ON_EMPTY_DIR })
  const { spec } = manifests.find(({ kind }) => kind === 'Deployment') ?? {}
  expect(spec).toMatchObject({ replicas: 3, strategy: { type: 'RollingUpdate' } })
  expect(manifests.map(({ kind }) => kind)).toContain('PodDisruptionBudget')
  expect(manifests.map(({ kind }) => kind)).not.toContain('PersistentVolumeClaim')
})

test('each replica of a StatefulSet has claims of its own, with no label that an upgrade would change', async () => {
  const manifests = await render({ kind: 'StatefulSet', replicas: 3, recordings: { s3: BUCKET } })
  expect(manifests.map(({ kind }) => kind)).not.toContain('PersistentVolumeClaim')
  expect(manifests.map(({ kind }) => kind)).not.toContain('Deployment')
  const { spec } = manifests.find(({ kind }) => kind === 'StatefulSet') ?? {}
  const labels = { 'app.kubernetes.io/name': 'postern', 'app.kubernetes.io/instance': 'postern' }
  expect(spec?.volumeClaimTemplates?.map(({ metadata }) => metadata)).toEqual([
    { name: 'state', labels },
    { name: 'recordings', labels },
  ])
  expect(spec?.template?.spec.volumes.map(({ name }) => name)).toEqual(['connector', 'policies', 'tls'])
})

function at(publicURL: string): object {
  return { publicURL }
}

function claimed(existingClaim: string): object {
  return { volume: { kind: 'existingClaim', existingClaim } }
}

function issuerAt(url: string): object {
  const [issuer] = STATED.identity.issuers
  return { identity: { issuers: [{ ...issuer, issuer: { url, audiences: ['postern'] } }] } }
}
