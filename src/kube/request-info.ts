import { excerpt } from './quote.ts'
import { type Query, firstValue, isTrue } from './query.ts'
import { isInt64, isLabelSelector, requiredFieldValue } from './selectors.ts'
import { badRequest, methodNotAllowed } from './status.ts'
import type { Target } from './target.ts'

/**
 * What a request asks of the API, by kube-apiserver's own rules.
 *
 * @see k8s.io/apiserver `pkg/endpoints/request/requestinfo.go` (v0.36)
 */
export interface RequestInfo {
  readonly isResourceRequest: boolean
  /** The decoded path, without query. */
  readonly path: string
  /** `get list watch create update patch delete deletecollection`, or the lower-case method of a non-resource request; may be empty. */
  readonly verb: string
  readonly apiPrefix: string
  /** Empty for the core group. */
  readonly apiGroup: string
  readonly apiVersion: string
  readonly namespace: string
  readonly resource: string
  readonly subresource: string
  readonly name: string
  readonly parts: readonly string[]
  readonly fieldSelector: string
  readonly labelSelector: string
}

/** The methods that are let through, with their verb for a resource and for any other path. */
const VERBS: ReadonlyMap<string, { readonly resource: string; readonly nonResource: string }> = new Map([
  ['GET', { resource: 'get', nonResource: 'get' }],
  ['HEAD', { resource: 'get', nonResource: 'head' }],
  ['POST', { resource: 'create', nonResource: 'post' }],
  ['PUT', { resource: 'update', nonResource: 'put' }],
  ['PATCH', { resource: 'patch', nonResource: 'patch' }],
  ['DELETE', { resource: 'delete', nonResource: 'delete' }],
  ['OPTIONS', { resource: '', nonResource: 'options' }],
])

const NO_PARTS: readonly string[] = Object.freeze([])

/**
 * Resolves what a request asks for, to the same tuple as kube-apiserver does.
 *
 * @throws StatusError 405 for a method that is not let through, or not for the deprecated `watch` prefix;
 * 400 for the removed `proxy` prefix, a `watch` prefix with nothing or another prefix behind it, and a
 * `watch` parameter that is not ASCII.
 */
export function resolveRequestInfo(method: string, target: Target): RequestInfo {
  const verbs = VERBS.get(method)
  if (verbs === undefined) throw methodNotAllowed(`the method ${excerpt(method)} is not allowed`)
  const { path, segments } = target
  const [apiPrefix = ''] = segments
  if (segments.length < 3 || (apiPrefix !== 'api' && apiPrefix !== 'apis')) {
    return nonResource(path, verbs.nonResource, '')
  }
  const hasGroup = apiPrefix === 'apis'
  if (hasGroup && segments.length < 4) return nonResource(path, verbs.nonResource, apiPrefix)

  const versionAt = hasGroup ? 2 : 1
  const hasWatchPrefix = checkPrefixVerb(method, segments, versionAt + 1)
  const scoped = scope(segments, hasWatchPrefix ? versionAt + 2 : versionAt + 1)
  const named = hasWatchPrefix
    ? { verb: 'watch', name: scoped.name }
    : settleVerb(verbs.resource, scoped.name, target.query)
  const hasSelectors = !hasWatchPrefix && takesSelectors(named.verb)
  return {
    isResourceRequest: true,
    path,
    verb: named.verb,
    apiPrefix,
    apiGroup: hasGroup ? (segments[1] ?? '') : '',
    apiVersion: segments[versionAt] ?? '',
    namespace: scoped.namespace,
    resource: scoped.parts[0] ?? '',
    subresource: scoped.parts[2] ?? '',
    name: named.name,
    parts: scoped.parts,
    fieldSelector: hasSelectors ? (firstValue(target.query, 'fieldSelector') ?? '') : '',
    labelSelector: hasSelectors ? (firstValue(target.query, 'labelSelector') ?? '') : '',
  }
}

function nonResource(path: string, verb: string, apiPrefix: string): RequestInfo {
  return {
    isResourceRequest: false,
    path,
    verb,
    apiPrefix,
    apiGroup: '',
    apiVersion: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    parts: NO_PARTS,
    fieldSelector: '',
    labelSelector: '',
  }
}

function isPrefixVerb(segment: string | undefined): boolean {
  return segment === 'watch' || segment === 'proxy'
}

/** Whether the segment behind the version is the prefix `watch`, which sets the verb whatever the method. */
function checkPrefixVerb(method: string, segments: readonly string[], at: number): boolean {
  const prefix = segments[at]
  if (!isPrefixVerb(prefix)) return false
  if (prefix === 'proxy') throw badRequest('the path prefix proxy was removed from Kubernetes')
  if (method !== 'GET') throw methodNotAllowed(`the path prefix watch does not go with the method ${method}`)
  const next = segments[at + 1]
  if (next === undefined) throw badRequest('the path prefix watch has no resource behind it')
  if (isPrefixVerb(next)) throw badRequest(`the path prefix watch cannot be followed by ${next}`)
  return true
}

interface Scoped {
  readonly namespace: string
  readonly parts: readonly string[]
  readonly name: string
}

/** Takes off `namespaces/NAMESPACE` unless the namespace itself is what is asked for. */
function scope(segments: readonly string[], at: number): Scoped {
  const namespace = segments[at] === 'namespaces' ? (segments[at + 1] ?? '') : ''
  const inside = namespace === '' ? undefined : segments[at + 2]
  const isInside = inside !== undefined && inside !== 'status' && inside !== 'finalize'
  const parts = segments.slice(isInside ? at + 2 : at)
  return { namespace, parts, name: parts[1] ?? '' }
}

/** A get or delete without a name is of a collection; a field selector can give a get its name. */
function settleVerb(verb: string, name: string, query: Query): { readonly verb: string; readonly name: string } {
  if (name !== '') return { verb, name }
  if (verb === 'delete') return { verb: 'deletecollection', name }
  if (verb !== 'get') return { verb, name }
  return { verb: isTrue(query, 'watch') ? 'watch' : 'list', name: selectedName(query) }
}

/** The one name that the list options ask for, if kube-apiserver can decode the options at all. */
function selectedName(query: Query): string {
  const fieldSelector = firstValue(query, 'fieldSelector')
  if (fieldSelector === undefined) return ''
  const name = requiredFieldValue(fieldSelector, 'metadata.name')
  if (name === undefined || name === '.' || name === '..' || /[/%]/.test(name)) return ''
  return hasValidListOptions(query) ? name : ''
}

function hasValidListOptions(query: Query): boolean {
  return (
    isLabelSelector(firstValue(query, 'labelSelector') ?? '') &&
    isInt64(firstValue(query, 'limit') ?? '0') &&
    isInt64(firstValue(query, 'timeoutSeconds') ?? '0')
  )
}

function takesSelectors(verb: string): boolean {
  return verb === 'list' || verb === 'watch' || verb === 'deletecollection'
}
