import { percentDecode } from './percent-encoding.ts'
import { type Query, parseQuery } from './query.ts'
import { excerpt } from './quote.ts'
import { badRequest } from './status.ts'

/** A request target that has exactly one reading. */
export interface Target {
  /** As it stood in the request line, path and query. */
  readonly raw: string
  /** The decoded path; keeps its trailing slash. */
  readonly path: string
  /** The decoded path, split; none is empty, `.` or `..`, and none holds a slash. Empty for `/`. */
  readonly segments: readonly string[]
  /** Whether a `/` follows the last segment. */
  readonly hasTrailingSlash: boolean
  readonly query: Query
  /** The path without trailing slash, in the one encoding that Postern sends; `/` when there is no segment. */
  readonly canonicalPath: string
  /** The query in the one encoding that Postern sends, with its `?`; empty when there is no parameter. */
  readonly canonicalQuery: string
}

/** Longest target, in bytes, as it comes and as it is sent. The arguments of an exec stand in it. */
export const MAX_TARGET_BYTES = 32 * 1024

/** Most segments of a path. The API needs ten; the rest is for what lies behind `proxy`. */
export const MAX_SEGMENTS = 128

const REFUSED_CHARACTER = /[^!-~]|[\\;#]/

/**
 * Escapes of control characters, `%`, `/`, `;`, `?` and `\`, which other servers decode twice or take for
 * syntax, and of unreserved characters, which no client escapes but to dodge a comparison.
 */
const REFUSED_ESCAPE = /%(?:[01][\dA-F]|2[5DEF]|3[\dBF]|4[1-9A-F]|5[\dACF]|6[1-9A-F]|7[\dAEF])/i

/** RFC 3986's pchar without `;`, and without `+`, which some take for a space. */
const CANONICAL_SEGMENT = /^[\w.~!$&'()*,=:@-]+$/
const LEFT_RAW_IN_SEGMENT = /%(?:24|26|2C|3A|3D|40)/g

/**
 * Parses a raw request target in origin-form and refuses what two parsers could read in two ways. Nothing
 * is normalised. Linear in the length of the target.
 *
 * @throws StatusError 400 unless the target begins with one `/`; for empty and dot segments, more than one
 * trailing slash, bytes outside printable ASCII, `\`, `;`, `#`, refused or malformed escapes, text that is
 * not UTF-8, targets over a bound, and what {@link parseQuery} refuses.
 * @see RFC 9112 section 3.2.1, RFC 3986 section 3.3
 */
export function parseTarget(raw: string): Target {
  if (raw.length > MAX_TARGET_BYTES) throw badRequest(`the request target is longer than ${MAX_TARGET_BYTES} bytes`)
  if (!raw.startsWith('/')) throw badRequest(`the request target ${excerpt(raw)} does not begin with a slash`)
  const question = raw.indexOf('?')
  const rawPath = question === -1 ? raw : raw.slice(0, question)
  const rawSegments = splitPath(rawPath)
  const hasTrailingSlash = rawPath.length > 1 && rawPath.endsWith('/')
  const { query, canonical } = parseQuery(question === -1 ? '' : raw.slice(question + 1))
  const segments = rawPath.includes('%') ? rawSegments.map(decodeSegment) : rawSegments
  const path = segments === rawSegments ? rawPath : `/${segments.join('/')}${hasTrailingSlash ? '/' : ''}`
  const canonicalPath = `/${segments.map(renderSegment).join('/')}`
  const canonicalQuery = canonical === '' ? '' : `?${canonical}`
  return { raw, path, segments, hasTrailingSlash, query, canonicalPath, canonicalQuery }
}

function splitPath(rawPath: string): string[] {
  const refused = REFUSED_CHARACTER.exec(rawPath)
  if (refused !== null) throw badRequest(`the path ${excerpt(rawPath)} holds ${excerpt(refused[0])} unescaped`)
  if (rawPath === '/') return []
  const segments = rawPath.split('/', MAX_SEGMENTS + 3)
  segments.shift()
  if (segments.at(-1) === '') segments.pop()
  if (segments.length > MAX_SEGMENTS) throw badRequest(`the path has more than ${MAX_SEGMENTS} segments`)
  for (const segment of segments) {
    if (segment === '') throw badRequest(`the path ${excerpt(rawPath)} has an empty segment`)
    if (segment === '.' || segment === '..') throw badRequest(`the path ${excerpt(rawPath)} has a dot segment`)
  }
  return segments
}

function decodeSegment(rawSegment: string): string {
  const refused = REFUSED_ESCAPE.exec(rawSegment)
  if (refused !== null) throw badRequest(`the path holds the escape ${excerpt(refused[0])}, which has two readings`)
  const segment = percentDecode(rawSegment)
  if (segment === undefined) throw badRequest(`the path holds a malformed escape in ${excerpt(rawSegment)}`)
  return segment
}

function renderSegment(segment: string): string {
  if (CANONICAL_SEGMENT.test(segment)) return segment
  return encodeURIComponent(segment).replace(LEFT_RAW_IN_SEGMENT, decodeURIComponent)
}
