import type { Subject } from '../kube/subject.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { isClusterScoped } from './cluster-scoped.ts'
import { EVERYBODY } from './discovery-policy.ts'

/**
 * A request in the words that rules are matched against, each a string that one pattern of a rule has to match.
 *
 * A part of a request never holds a slash, so a slash can mark what a `*` in a rule that allows must not cover: a
 * doubled one what has to be named (`pods//exec`, `/impersonate`), a single one what spans more than one name or
 * namespace.
 */
export interface RequestTerms {
  /** Everything the subject is called, each between spaces and percent-encoded: ` user:ana%40example.com group:dev `. */
  readonly subjects: string
  readonly socket: string
  /** Empty matches nothing. */
  readonly verb: string
  readonly group: string
  /** `pods`, `pods/log`, `pods//exec`, or the path of a non-resource request. Empty matches nothing. */
  readonly resource: string
  /** Empty at the cluster scope; `/` for a request over all namespaces. */
  readonly namespace: string
  /** Empty when there is none; `/` for a request over all names. */
  readonly name: string
  /**
   * Each between spaces: the conditions that hold, and the templates that stand for the namespace or for the name
   * (`namespace-template-1`).
   */
  readonly conditions: string
}

/** Over all namespaces, or all names. */
export const ALL = '/'

/** What a subject is called in rules. */
export function userTerm(username: string): string {
  return `user:${encodeURIComponent(username)}`
}

export function groupTerm(group: string): string {
  return `group:${encodeURIComponent(group)}`
}

/** Everything that a subject is called, the group of everybody included. */
export function subjectTerms({ username, groups }: Subject): readonly string[] {
  return [userTerm(username), ...new Set([...groups, EVERYBODY].map(groupTerm))]
}

/**
 * Verbs that hand over the power of somebody else, which Kubernetes asks for beside the verb of the request.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/ "Privilege escalation prevention"
 * @see https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/ "Authorization"
 */
const NAMED_VERBS = /^(?:approve|attest|bind|escalate|impersonate(?:[:-].*)?|sign)$/s

export function verbTerm(verb: string): string {
  return NAMED_VERBS.test(verb) ? `/${verb}` : verb
}

/** Subresources that run code, hand out credentials, or show what somebody else did in a session. */
const NAMED_SUBRESOURCES: ReadonlySet<string> = new Set([
  'pods/exec',
  'pods/attach',
  'pods/portforward',
  'pods/ephemeralcontainers',
  'serviceaccounts/token',
  'sessions/follow',
  'recordings/cast',
])

export function resourceTerm(resource: string, subresource: string): string {
  if (subresource === '') return resource
  const named = subresource === 'proxy' || NAMED_SUBRESOURCES.has(`${resource}/${subresource}`)
  return `${resource}${named ? '//' : '/'}${subresource}`
}

const COLLECTION_VERBS: ReadonlySet<string> = new Set(['list', 'watch', 'deletecollection'])

/** The parts of the terms that a RequestInfo gives. */
export type RequestInfoTerms = Pick<RequestTerms, 'verb' | 'group' | 'resource' | 'namespace' | 'name'>

export function requestInfoTerms(requestInfo: RequestInfo): RequestInfoTerms {
  const { verb, apiGroup, resource, subresource, namespace, name, path } = requestInfo
  if (!requestInfo.isResourceRequest) {
    return { verb: verbTerm(verb), group: '', resource: path.startsWith('/') ? path : '', namespace: '', name: '' }
  }
  const collection = COLLECTION_VERBS.has(verb)
  return {
    verb: verbTerm(verb),
    group: apiGroup,
    resource: resource === '' ? '' : resourceTerm(resource, subresource),
    namespace: collection && namespace === '' && !isClusterScoped(apiGroup, resource) ? ALL : namespace,
    name: collection && name === '' ? ALL : name,
  }
}
