import { excerpt } from './quote.ts'
import type { RequestInfo } from './request-info.ts'
import { type PrivateDetail, StatusError, failure } from './status.ts'

/** Longest piece of a request or of a username that the sentence repeats, in characters. Names end at 253. */
const MAX_PART_CHARACTERS = 253

/**
 * 403 in Kubernetes' own sentence, then `: ` and the reason, which may be empty and stands as given.
 * What the request and the username put into the sentence is quoted, HTML-escaped and bounded.
 *
 * @see k8s.io/apiserver `pkg/endpoints/handlers/responsewriters/errors.go`, ForbiddenStatusError (v0.36)
 */
export function forbidden(info: RequestInfo, username: string, reason: string, options?: PrivateDetail): StatusError {
  const sentence = escapeHtml(info.isResourceRequest ? resourceSentence(info, username) : pathSentence(info, username))
  const message = reason === '' ? sentence : `${sentence}: ${reason}`
  return new StatusError(failure(403, 'Forbidden', message, detailsOf(info)), options)
}

function pathSentence(info: RequestInfo, username: string): string {
  return `forbidden: User ${part(username)} cannot ${info.verb} path ${part(info.path)}`
}

function resourceSentence(info: RequestInfo, username: string): string {
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`
  const qualified = info.apiGroup === '' ? info.resource : `${info.resource}.${info.apiGroup}`
  const object = info.name === '' ? '' : ` ${part(info.name)}`
  const scope = info.namespace === '' ? 'at the cluster scope' : `in the namespace ${part(info.namespace)}`
  return (
    `${qualified.slice(0, MAX_PART_CHARACTERS)}${object} is forbidden: User ${part(username)} cannot ${info.verb} ` +
    `resource ${part(resource)} in API group ${part(info.apiGroup)} ${scope}`
  )
}

function detailsOf(info: RequestInfo): { name?: string; group?: string; kind?: string } {
  if (!info.isResourceRequest) return {}
  return {
    ...(info.name === '' ? {} : { name: info.name }),
    ...(info.apiGroup === '' ? {} : { group: info.apiGroup }),
    kind: info.resource,
  }
}

function part(text: string): string {
  return excerpt(text, MAX_PART_CHARACTERS)
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
