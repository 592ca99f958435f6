import type { Endpoint } from './endpoint.ts'
import type { UpstreamRequest } from './upstream.ts'

const METHOD = /^[A-Z]+$/
const TARGET = /^\/[\x21-\x7e]*$/
const NAME = /^[A-Za-z0-9-]+$/
/** What may not stand in a value: control characters, and what is more than one byte. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/

/**
 * The head of a request as it goes over the wire, one character a byte.
 *
 * It is one request whatever the caller hands in: the framing, connection, host and authorization lines are
 * written here and nowhere else, and nothing that could begin another line passes.
 *
 * @param authorization value of `Authorization`; undefined when a client certificate says who we are
 * @param protocol asks to switch to it
 * @throws TypeError when the request holds what it must not: a bug of the caller, not of a client
 * @see RFC 9112 sections 3 and 6
 */
export function renderRequestHead(
  request: UpstreamRequest,
  { authority, pathPrefix }: Pick<Endpoint, 'authority' | 'pathPrefix'>,
  authorization: string | undefined,
  protocol?: string,
): string {
  const { method, target, headers, bodyLength } = request
  if (!METHOD.test(method) || method === 'CONNECT') throw new TypeError('not a method that can be sent upstream')
  if (!TARGET.test(target)) throw new TypeError('a target holds what does not fit on a request line')
  if (headers.length % 2 !== 0) throw new TypeError('a header name stands without its value')
  let head = `${method} ${pathPrefix}${target} HTTP/1.1\r\nHost: ${authority}\r\n`
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? ''
    const value = headers[i + 1] ?? ''
    if (isOwnField(name)) throw new TypeError(`the header ${name} is the upstream's own`)
    if (!NAME.test(name)) throw new TypeError('a header name that cannot be sent upstream')
    if (NOT_IN_VALUE.test(value)) throw new TypeError(`the value of ${name} cannot be sent upstream`)
    head += `${name}: ${value}\r\n`
  }
  if (authorization !== undefined) head += `Authorization: ${authorization}\r\n`
  if (protocol !== undefined) head += upgradeFields(protocol, bodyLength)
  return head + bodyFields(method, bodyLength) + '\r\n'
}

function upgradeFields(protocol: string, bodyLength: number | 'chunked'): string {
  if (bodyLength !== 0) throw new TypeError('a request to switch protocols has no body')
  if (!/^[A-Za-z0-9]+(?:[./][A-Za-z0-9]+)*$/.test(protocol)) throw new TypeError('not the name of a protocol')
  return `Connection: Upgrade\r\nUpgrade: ${protocol}\r\n`
}

function bodyFields(method: string, bodyLength: number | 'chunked'): string {
  if (bodyLength === 'chunked') return 'Transfer-Encoding: chunked\r\n'
  if (!Number.isSafeInteger(bodyLength) || bodyLength < 0) throw new TypeError('not a length in bytes')
  // A method that has a body by its meaning says so when it has none (RFC 9110 section 8.6).
  const announced = bodyLength > 0 || method === 'POST' || method === 'PUT' || method === 'PATCH'
  return announced ? `Content-Length: ${bodyLength}\r\n` : ''
}

/** Whether a line of this name is written by the upstream alone. */
function isOwnField(name: string): boolean {
  switch (name.length) {
    case 2:
    case 4:
    case 6:
    case 7:
    case 10:
    case 13:
    case 14:
    case 16:
    case 17:
    case 19:
      return OWN_FIELDS.has(name.toLowerCase())
    default:
      return false
  }
}

const OWN_FIELDS: ReadonlySet<string> = new Set([
  'te',
  'host',
  'expect',
  'upgrade',
  'trailer',
  'connection',
  'keep-alive',
  'authorization',
  'content-length',
  'proxy-connection',
  'transfer-encoding',
  'proxy-authorization',
])
