import type { Surroundings } from '../surroundings.ts'

/** Where a release's listeners are to be. */
export interface ListenerPorts {
  readonly kubernetes: number
  readonly portal: number
}

/** What every installation has to say. Policies allow more than least rights do, on purpose. */
export function leastValues({ issuer }: Pick<Surroundings, 'issuer'>, { kubernetes, portal }: ListenerPorts) {
  return {
    kubernetes: { publicURL: `https://127.0.0.1:${kubernetes}` },
    portal: { publicURL: `https://127.0.0.1:${portal}` },
    tls: { existingSecret: 'listeners' },
    identity: {
      issuers: [
        {
          issuer: { url: issuer.url, audiences: [issuer.clientID], certificateAuthority: issuer.certificateAuthority },
          client: { id: issuer.clientID },
          claimMappings: { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
        },
      ],
    },
    policies: { files: { 'people.yaml': PEOPLE } },
    // Nobody sends these pods clients.
    shutdownDelaySeconds: 0,
  }
}

const PEOPLE = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: developers }
spec:
  subjects: { groups: [payments-dev] }
  rules:
    - { verbs: ['*'], resources: ['*', 'pods/*'], namespaces: [default] }
---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: viewers }
spec:
  subjects: { groups: [viewers] }
  rules:
    - { verbs: [get, list], resources: [pods], namespaces: [default] }
---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: platform-admins }
spec:
  subjects: { groups: [platform-admins] }
  rules:
    - { verbs: ['*', escalate, bind, impersonate], resources: ['*', '*/*'] }
    - { verbs: ['*'], nonResourceURLs: ['*'] }
`

/** Rights to act as one person and the groups that she is in. */
export const LEAST_RIGHTS = {
  rights: { kind: 'least', impersonate: { users: ['ana@example.com'], groups: ['payments-dev', 'everyone'] } },
}

/** A certificate of the connector's own making. */
export const TRIAL = { tls: { existingSecret: '', trial: true } }

/** Everything that the chart can make, in one release, which keeps recordings at this address. */
export const everything = (s3: { readonly endpoint: string; readonly bucket: string; readonly region: string }) => ({
  kind: 'StatefulSet',
  replicas: 2,
  tls: { existingSecret: '', certManager: { issuerRef: { name: 'letsencrypt', kind: 'ClusterIssuer' } } },
  sockets: [
    { name: 'in-cluster', upstream: { inCluster: {} }, hosts: ['kube.example.com'] },
    { name: 'elsewhere', upstream: { kubeconfig: { path: '/etc/postern/kubeconfigs/elsewhere' } } },
  ],
  defaultSocket: 'in-cluster',
  kubernetes: { publicURL: 'https://clusters.example.com' },
  portal: { publicURL: 'https://postern.example.com' },
  rights: {
    kind: 'least',
    impersonate: {
      users: ['*'],
      groups: ['payments-dev', 'everyone'],
      uids: ['*'],
      extra: { 'example.com/team': ['payments'] },
    },
  },
  recordings: {
    s3: { ...s3, forcePathStyle: true, maxSpoolSize: '5GiB' },
    publicKey:
      '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAzuSrbNTuu8GpKxTwJ0KMO9LwN6TPTq9gz8D4IGrDfnU=\n-----END PUBLIC KEY-----\n',
    retention: { maxAge: '365d' },
    maskInput: ['token=\\S+'],
    volume: { kind: 'emptyDir', size: '5Gi' },
  },
  audit: { trail: 'directory', requestReceived: true, volume: { size: '20Gi', storageClass: 'fast' } },
  limits: { maxConnections: 1000 },
  logLevel: 'debug',
  serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/postern' } },
  service: {
    type: 'LoadBalancer',
    annotations: { 'example.com/kind': 'network' },
    externalTrafficPolicy: 'Local',
    loadBalancerSourceRanges: ['10.0.0.0/8'],
  },
  ingress: {
    enabled: true,
    className: 'nginx',
    annotations: { 'nginx.ingress.kubernetes.io/ssl-passthrough': 'true' },
  },
  gateway: { enabled: true, parentRefs: [{ name: 'public', namespace: 'gateways', sectionName: 'tls' }] },
  metrics: { enabled: true, serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } },
  networkPolicy: {
    from: [{ ipBlock: { cidr: '10.0.0.0/8' } }],
    metricsFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
    egress: [{}],
  },
  podAnnotations: { 'example.com/note': 'a' },
  podLabels: { 'example.com/team': 'platform' },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'dedicated', operator: 'Exists' }],
  affinity: {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 1,
          podAffinityTerm: {
            topologyKey: 'kubernetes.io/hostname',
            labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'postern' } },
          },
        },
      ],
    },
  },
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'postern' } },
    },
  ],
  image: { digest: `sha256:${'0'.repeat(64)}`, pullSecrets: [{ name: 'registry' }] },
  env: [{ name: 'NODE_EXTRA_CA_CERTS', value: '/etc/postern/kubeconfigs/ca.crt' }],
  envFrom: [{ secretRef: { name: 'bucket', optional: true } }],
  volumes: [{ name: 'kubeconfigs', secret: { secretName: 'kubeconfigs' } }],
  volumeMounts: [{ name: 'kubeconfigs', mountPath: '/etc/postern/kubeconfigs', readOnly: true }],
})
