import { nearestName } from '../document/nearest-name.ts'
import { isClusterScoped } from './cluster-scoped.ts'

/** A kind as its URLs name it. */
export interface ApiResource {
  readonly apiGroup: string
  readonly apiVersion: string
  /** The plural. */
  readonly resource: string
  readonly namespaced: boolean
}

/**
 * Kubernetes' own kinds: group and version, then each plural with its short names. Where two groups have the same plural
 * the first is meant.
 *
 * @see `kubectl api-resources` (v1.36)
 */
const KINDS = `
v1: bindings componentstatuses=cs configmaps=cm endpoints=ep events=ev limitranges=limits namespaces=ns nodes=no
v1: persistentvolumeclaims=pvc persistentvolumes=pv pods=po podtemplates replicationcontrollers=rc resourcequotas=quota
v1: secrets serviceaccounts=sa services=svc
admissionregistration.k8s.io/v1: mutatingadmissionpolicies mutatingadmissionpolicybindings mutatingwebhookconfigurations
admissionregistration.k8s.io/v1: validatingadmissionpolicies validatingadmissionpolicybindings validatingwebhookconfigurations
apiextensions.k8s.io/v1: customresourcedefinitions=crd,crds
apiregistration.k8s.io/v1: apiservices
apps/v1: controllerrevisions daemonsets=ds deployments=deploy replicasets=rs statefulsets=sts
authentication.k8s.io/v1: selfsubjectreviews tokenreviews
authorization.k8s.io/v1: localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews
autoscaling/v2: horizontalpodautoscalers=hpa
batch/v1: cronjobs=cj jobs
certificates.k8s.io/v1: certificatesigningrequests=csr
certificates.k8s.io/v1beta1: clustertrustbundles podcertificaterequests
coordination.k8s.io/v1: leases
discovery.k8s.io/v1: endpointslices
events.k8s.io/v1: events
flowcontrol.apiserver.k8s.io/v1: flowschemas prioritylevelconfigurations
metrics.k8s.io/v1beta1: nodes pods
networking.k8s.io/v1: ingressclasses ingresses=ing ipaddresses=ip networkpolicies=netpol servicecidrs
node.k8s.io/v1: runtimeclasses
policy/v1: poddisruptionbudgets=pdb
rbac.authorization.k8s.io/v1: clusterrolebindings clusterroles rolebindings roles
resource.k8s.io/v1: deviceclasses resourceclaims resourceclaimtemplates resourceslices
scheduling.k8s.io/v1: priorityclasses=pc
storage.k8s.io/v1: csidrivers csinodes csistoragecapacities storageclasses=sc volumeattachments volumeattributesclasses=vac
storagemigration.k8s.io/v1beta1: storageversionmigrations
`

interface Kind extends ApiResource {
  /** What else it is called in the singular and in short. */
  readonly aliases: readonly string[]
}

const OWN_KINDS: readonly Kind[] = KINDS.trim()
  .split('\n')
  .flatMap((line) => {
    const [groupVersion = '', ...entries] = line.split(/:? /)
    const slash = groupVersion.indexOf('/')
    const apiGroup = slash < 0 ? '' : groupVersion.slice(0, slash)
    const apiVersion = groupVersion.slice(slash + 1)
    return entries.map((entry) => {
      const [resource = '', short = ''] = entry.split('=')
      const aliases = [singular(resource), ...short.split(',')].filter((alias) => alias !== '' && alias !== resource)
      return { apiGroup, apiVersion, resource, namespaced: !isClusterScoped(apiGroup, resource), aliases }
    })
  })

/** What only an authorizer is asked about; no URL leads there. */
const ASKED_ABOUT: readonly ApiResource[] = [
  { apiGroup: '', apiVersion: 'v1', resource: 'users', namespaced: false },
  { apiGroup: '', apiVersion: 'v1', resource: 'groups', namespaced: false },
  { apiGroup: 'authentication.k8s.io', apiVersion: 'v1', resource: 'uids', namespaced: false },
  { apiGroup: 'authentication.k8s.io', apiVersion: 'v1', resource: 'userextras', namespaced: false },
  { apiGroup: 'certificates.k8s.io', apiVersion: 'v1', resource: 'signers', namespaced: false },
]

function singular(plural: string): string {
  if (plural === 'endpoints') return plural
  if (plural.endsWith('ies')) return `${plural.slice(0, -3)}y`
  return plural.replace(/(?<=ss|us|x)es$|s$/, '')
}

/** Every name of Kubernetes' own kinds in lower case: plurals, singulars and short names. */
const BY_NAME: ReadonlyMap<string, ApiResource> = new Map(
  [...OWN_KINDS.map((kind): [string, ApiResource] => [kind.resource, kind])]
    .concat(OWN_KINDS.flatMap((kind) => kind.aliases.map((alias): [string, ApiResource] => [alias, kind])))
    .concat(ASKED_ABOUT.map((kind): [string, ApiResource] => [kind.resource, kind]))
    .toReversed(),
)

const BY_GROUP: ReadonlyMap<string, ApiResource> = new Map(
  OWN_KINDS.flatMap((kind) => [kind.resource, ...kind.aliases].map((name) => [`${name}.${kind.apiGroup}`, kind])),
)

/** Of a name such as `widgets.v1alpha1.example.com`. */
const QUALIFIED = /^([a-z0-9-]+)\.(?:(v\d+(?:(?:alpha|beta)\d+)?)\.)?([a-z0-9.-]+)$/

/**
 * The kind that kubectl takes a word for: plural, singular or short name of a kind of Kubernetes' own, or any
 * `PLURAL.GROUP` or `PLURAL.VERSION.GROUP`. Null for others. Whether a kind of another group is namespaced is not known:
 * it is taken for namespaced.
 */
export function findResource(word: string): ApiResource | null {
  const name = word.toLowerCase()
  const own = BY_NAME.get(name)
  if (own !== undefined) return own
  const [, resource = '', apiVersion, apiGroup = ''] = QUALIFIED.exec(name) ?? []
  if (resource === '') return null
  const known = BY_GROUP.get(`${resource}.${apiGroup}`)
  if (known !== undefined) return apiVersion === undefined ? known : { ...known, apiVersion }
  return { apiGroup, apiVersion: apiVersion ?? 'v1', resource, namespaced: !isClusterScoped(apiGroup, resource) }
}

/** Whether the objects of a kind are in namespaces; undefined for a kind that is not Kubernetes' own. */
export function isNamespaced(apiGroup: string, resource: string): boolean | undefined {
  return BY_GROUP.get(`${resource}.${apiGroup}`)?.namespaced
}

/** The plural that was probably meant, or null: for a singular, a short name, or a misspelt plural. */
export function meantResource(word: string): string | null {
  const own = BY_NAME.get(word.toLowerCase())
  if (own !== undefined) return own.resource === word ? null : own.resource
  return nearestName(
    word,
    [...BY_NAME.keys()].filter((name) => BY_NAME.get(name)?.resource === name),
  )
}
