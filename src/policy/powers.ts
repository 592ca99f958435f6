import { isClusterScoped } from './cluster-scoped.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { resourceTerm, verbTerm } from './request-terms.ts'

/** Something that is as good as the administration of what it is granted for. */
interface Power {
  readonly phrase: string
  readonly verbs: readonly string[]
  /** `RESOURCE[/SUBRESOURCE]` of the API group before the colon; a path for one without a colon. */
  readonly resources: readonly string[]
  /** Where it is one; any when undefined. */
  readonly namespace?: string
}

const WRITE = ['create', 'update', 'patch'] as const
const RBAC = 'rbac.authorization.k8s.io'
const CERTIFICATES = 'certificates.k8s.io'
const ADMISSION = 'admissionregistration.k8s.io'

/**
 * @see https://kubernetes.io/docs/concepts/security/rbac-good-practices/ "Kubernetes RBAC - privilege escalation risks"
 */
const POWERS: readonly Power[] = [
  {
    phrase: 'escalate or bind roles',
    verbs: ['escalate', 'bind'],
    resources: [`${RBAC}:roles`, `${RBAC}:clusterroles`],
  },
  { phrase: 'impersonate', verbs: ['impersonate'], resources: [':users', ':groups', ':serviceaccounts'] },
  {
    phrase: 'write roles and bindings',
    verbs: WRITE,
    resources: ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'].map((kind) => `${RBAC}:${kind}`),
  },
  { phrase: 'request tokens of service accounts', verbs: ['create'], resources: [':serviceaccounts/token'] },
  { phrase: 'read secrets', verbs: ['get', 'list', 'watch'], resources: [':secrets'] },
  {
    phrase: 'run workloads, as any service account of their namespace',
    verbs: WRITE,
    resources: [
      ...[':pods', ':replicationcontrollers', 'apps:deployments', 'apps:daemonsets', 'apps:statefulsets'],
      ...['apps:replicasets', 'batch:jobs', 'batch:cronjobs'],
    ],
  },
  { phrase: 'run commands in pods', verbs: ['create'], resources: [':pods/exec', ':pods/attach'] },
  {
    phrase: 'run commands in pods through debug containers',
    verbs: ['update', 'patch'],
    resources: [':pods/ephemeralcontainers'],
  },
  {
    phrase: 'reach pods, services or kubelets past the API',
    verbs: ['get', ...WRITE, 'delete'],
    resources: [':pods/proxy', ':services/proxy', ':nodes/proxy'],
  },
  { phrase: 'change nodes', verbs: ['update', 'patch'], resources: [':nodes'] },
  {
    phrase: 'issue certificates',
    verbs: ['update', 'patch', 'approve', 'sign'],
    resources: [
      ...['certificatesigningrequests/approval', 'certificatesigningrequests/status', 'podcertificaterequests/status'],
      ...['signers'],
    ].map((kind) => `${CERTIFICATES}:${kind}`),
  },
  {
    phrase: 'get certificates of nodes',
    verbs: ['create'],
    resources: [`${CERTIFICATES}:certificatesigningrequests/nodeclient`],
  },
  {
    phrase: 'change admission',
    verbs: [...WRITE, 'delete', 'deletecollection'],
    resources: [
      ...['mutatingwebhookconfigurations', 'validatingwebhookconfigurations', 'mutatingadmissionpolicies'],
      ...['validatingadmissionpolicies', 'validatingadmissionpolicybindings', 'mutatingadmissionpolicybindings'],
    ].map((kind) => `${ADMISSION}:${kind}`),
  },
  {
    phrase: 'change the API itself',
    verbs: WRITE,
    resources: ['apiregistration.k8s.io:apiservices', 'apiextensions.k8s.io:customresourcedefinitions'],
  },
  {
    phrase: 'mount the disks of nodes',
    verbs: ['create'],
    resources: [':persistentvolumes', 'storage.k8s.io:csidrivers'],
  },
  {
    phrase: 'send what is meant for services elsewhere',
    verbs: WRITE,
    resources: [':endpoints', 'discovery.k8s.io:endpointslices'],
  },
  {
    phrase: 'change the policies of this gateway',
    verbs: ['escalate'],
    resources: ['postern.dev:clusterposternpolicies', 'postern.dev:posternpolicies'],
  },
  { phrase: 'write configuration of the cluster', verbs: WRITE, resources: [':configmaps'], namespace: 'kube-system' },
  {
    phrase: 'read metrics, logs or profiles of the API server',
    verbs: ['get'],
    resources: ['/metrics', '/logs/', '/debug/pprof/'],
  },
]

/**
 * What a rule allows that amounts to administration, in phrases; empty for a rule that denies. What another rule of the
 * same policy denies everywhere does not count.
 */
export function powersOf(compiled: CompiledRule, denying: readonly CompiledRule[]): readonly string[] {
  if (compiled.rule.effect === 'deny') return []
  const rules = denying.filter(
    ({ policy, rule }) =>
      policy === compiled.policy &&
      !('resources' in rule && [rule.namespaces, rule.resourceNames, rule.except].some((list) => list !== undefined)),
  )
  return POWERS.filter(({ verbs, resources, namespace }) =>
    verbs.some((verb) =>
      resources.some(
        (resource) =>
          grants(compiled, verb, resource, namespace) && !rules.some((deny) => grants(deny, verb, resource)),
      ),
    ),
  ).map(({ phrase }) => phrase)
}

/** What is asked for without a name, so that no rule for names grants it. */
const OF_ANY_NAME: ReadonlySet<string> = new Set(
  ['signers', 'certificatesigningrequests/nodeclient'].map((kind) => `${CERTIFICATES}:${kind}`),
)

function grants({ rule, patterns }: CompiledRule, verb: string, written: string, namespace?: string): boolean {
  const colon = written.indexOf(':')
  if (colon < 0) {
    return !('resources' in rule) && patterns.resource.test(written) && patterns.verb.test(verb)
  }
  const group = written.slice(0, colon)
  const [resource = '', subresource = ''] = written.slice(colon + 1).split('/')
  const where = isClusterScoped(group, resource) ? '' : namespace
  return (
    'resources' in rule &&
    patterns.resource.test(resourceTerm(resource, subresource)) &&
    patterns.group.test(group) &&
    (where === undefined || patterns.namespace.test(where)) &&
    ((verb === 'create' && subresource === '') || OF_ANY_NAME.has(written) ? patterns.name.test('') : true) &&
    patterns.verb.test(verbTerm(verb))
  )
}
