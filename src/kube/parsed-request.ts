import type { Query } from './query.ts'
import { type RequestInfo, resolveRequestInfo } from './request-info.ts'
import { badRequest } from './status.ts'
import { MAX_TARGET_BYTES, type Target, parseTarget } from './target.ts'

/** A request whose meaning is known: what is decided on, what is sent, and what is recorded. */
export interface ParsedRequest {
  readonly method: string
  readonly requestInfo: RequestInfo
  readonly query: Query
  /** The target to send upstream, byte for byte. Parsed again it gives the same tuple, and itself. */
  readonly target: string
}

/**
 * Parses a request line.
 *
 * @throws StatusError 400 or 405 when the request has more than one reading, or none.
 */
export function parseRequest(method: string, rawTarget: string): ParsedRequest {
  const target = parseTarget(rawTarget)
  const requestInfo = resolveRequestInfo(method, target)
  const rendered = renderTarget(target, requestInfo)
  if (rendered.length > MAX_TARGET_BYTES) throw badRequest('the request target is too long in its canonical form')
  Object.freeze(requestInfo.parts)
  Object.freeze(requestInfo)
  Object.freeze(target.query)
  return Object.freeze({ method, requestInfo, query: target.query, target: rendered })
}

/** A trailing slash is dropped from a resource, for which it means nothing, and kept everywhere else. */
function renderTarget(target: Target, info: RequestInfo): string {
  if (info.isResourceRequest && info.subresource === 'proxy') return renderProxyTarget(target, info)
  const slash = target.hasTrailingSlash && !info.isResourceRequest ? '/' : ''
  return `${target.canonicalPath}${slash}${target.canonicalQuery}`
}

/** What lies behind `proxy` keeps its bytes, since nothing is known of who reads it. */
function renderProxyTarget(target: Target, info: RequestInfo): string {
  const segmentsToProxy = target.segments.length - info.parts.length + 3
  const prefix = target.canonicalPath.slice(0, endOfSegments(target.canonicalPath, segmentsToProxy))
  return prefix + target.raw.slice(endOfSegments(target.raw, segmentsToProxy))
}

/** Offset of what follows so many segments. */
function endOfSegments(text: string, count: number): number {
  const segment = /\/[^/?]+/y
  for (let i = 0; i < count; i++) segment.exec(text)
  return segment.lastIndex
}
