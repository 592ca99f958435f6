import { excerpt } from './quote.ts'
import { type RawHeaders, headerMembers } from './raw-headers.ts'
import { badRequest } from './status.ts'

/** Most header lines of a request. Parsers have been seen to lose what came behind a limit of theirs. */
export const MAX_HEADER_LINES = 100

/** What of a request's head goes on to the API server. */
export interface RequestHead {
  /** Holds no framing, connection, host, authorization or impersonation header. */
  readonly headers: RawHeaders
  /** Length of the body in bytes, or `chunked` when only its end will tell. 0 is no body. */
  readonly bodyLength: number | 'chunked'
}

/** What a request's head has to be read with. */
export interface RequestHeadOptions {
  /** Takes the place of any `Audit-ID` of the client. */
  readonly auditId: string
  /** Length of a body that no header announces: 0 in HTTP/1.1; `chunked` for an open HTTP/2 stream. */
  readonly unframedLength?: 0 | 'chunked'
}

/** The only headers that are sent on, under these names. */
const SENT_ON: ReadonlyMap<string, string> = new Map([
  ['accept', 'Accept'],
  ['accept-encoding', 'Accept-Encoding'],
  ['content-type', 'Content-Type'],
  ['if-match', 'If-Match'],
  ['if-modified-since', 'If-Modified-Since'],
  ['if-none-match', 'If-None-Match'],
  ['kubectl-command', 'Kubectl-Command'],
  ['kubectl-session', 'Kubectl-Session'],
  ['traceparent', 'Traceparent'],
  ['tracestate', 'Tracestate'],
  ['user-agent', 'User-Agent'],
])

/** Headers of which servers take the first, the last or both, each with a bit of its own. */
const SINGLETONS: ReadonlyMap<string, number> = new Map(
  [
    'content-encoding',
    'content-length',
    'content-type',
    'expect',
    'host',
    'if-modified-since',
    'kubectl-command',
    'kubectl-session',
    'origin',
    'traceparent',
    'transfer-encoding',
    'user-agent',
  ].map((name, index) => [name, 1 << index]),
)

const NAME = /^[A-Za-z0-9-]+$/
/** The key of an extra may hold any character of a token, and is never sent on. */
const IMPERSONATION_NAME = /^impersonate-[\w!#$%&'*+.^`|~-]+$/i
const REFUSED_IN_VALUE = /[^\t -~\x80-\xff]/

/**
 * Takes from a request's header lines what may go on to the API server: the allow-list, less what `Connection`
 * names, then the audit id. Everything that carries identity or framing is left for others to set anew.
 *
 * @throws StatusError 400 for more than {@link MAX_HEADER_LINES}, names outside letters, digits and `-`, a
 * repeated singleton, control characters in a value, any `Content-Encoding`, a `Transfer-Encoding` other than
 * exactly `chunked` or beside a `Content-Length`, a malformed length, a body on GET and HEAD, and an `Expect` of
 * anything but `100-continue`.
 * @see RFC 9110 section 7.6.1, RFC 9112 section 6.3
 */
export function requestHeaders(method: string, received: RawHeaders, options: RequestHeadOptions): RequestHead {
  if (received.length > 2 * MAX_HEADER_LINES) {
    throw badRequest(`the request has more than ${MAX_HEADER_LINES} header lines`)
  }
  const hopByHop = headerMembers(received, 'connection').map((name) => name.toLowerCase())
  const headers: string[] = []
  const framing: Framing = {}
  let seen = 0
  for (let i = 0; i + 1 < received.length; i += 2) {
    const name = toLowerName(received[i] ?? '')
    const value = received[i + 1] ?? ''
    const bit = SINGLETONS.get(name) ?? 0
    if ((seen & bit) !== 0) throw badRequest(`the header ${name} is repeated`)
    seen |= bit
    if (isFramingName(name)) framing[name] = value
    if (name === 'expect' && value.toLowerCase() !== '100-continue') throw badRequest('the Expect header is refused')
    const sentAs = SENT_ON.get(name)
    if (sentAs === undefined || hopByHop.includes(name)) continue
    if (REFUSED_IN_VALUE.test(value)) throw badRequest(`the header ${name} holds a control character`)
    headers.push(sentAs, value)
  }
  headers.push('Audit-ID', options.auditId)
  return { headers, bodyLength: bodyLength(method, framing, options.unframedLength ?? 0) }
}

function toLowerName(name: string): string {
  if (!NAME.test(name) && !IMPERSONATION_NAME.test(name))
    throw badRequest(`the header name ${excerpt(name)} is refused`)
  return name.toLowerCase()
}

type Framing = { [name in FramingName]?: string }
type FramingName = 'content-encoding' | 'content-length' | 'transfer-encoding'

function isFramingName(name: string): name is FramingName {
  return name === 'content-length' || name === 'transfer-encoding' || name === 'content-encoding'
}

function bodyLength(method: string, framing: Framing, unframedLength: 0 | 'chunked'): number | 'chunked' {
  if (framing['content-encoding'] !== undefined) throw badRequest('a body with a Content-Encoding is refused')
  const length = framedLength(framing, unframedLength)
  if (length !== 0 && (method === 'GET' || method === 'HEAD')) throw badRequest(`a ${method} must not have a body`)
  return length
}

function framedLength(framing: Framing, unframedLength: 0 | 'chunked'): number | 'chunked' {
  const { 'content-length': length, 'transfer-encoding': encoding } = framing
  if (encoding !== undefined) {
    if (encoding !== 'chunked') throw badRequest(`the Transfer-Encoding ${excerpt(encoding)} is refused`)
    if (length !== undefined) throw badRequest('a Transfer-Encoding beside a Content-Length is refused')
    return 'chunked'
  }
  if (length === undefined) return unframedLength
  if (!/^\d{1,15}$/.test(length)) throw badRequest(`the Content-Length ${excerpt(length)} is malformed`)
  return Number(length)
}
