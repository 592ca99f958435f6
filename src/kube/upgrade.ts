import { excerpt } from './quote.ts'
import { type RawHeaders, headerMembers, headerValues } from './raw-headers.ts'
import type { RequestInfo } from './request-info.ts'
import { type SessionKind, sessionKind } from './session-kind.ts'
import { badGateway, badRequest } from './status.ts'

/** An upgrade that a client asks for and that may be asked of the API server. */
export type Upgrade = SpdyUpgrade | WebSocketUpgrade

/** SPDY/3.1, as kubectl has used it since the beginning. */
interface SpdyUpgrade {
  readonly protocol: 'SPDY/3.1'
  /** Offered protocols, best first. For a session only those that are known; may be empty. */
  readonly subprotocols: readonly string[]
}

/** A WebSocket, as kubectl uses it since 1.30. */
interface WebSocketUpgrade {
  readonly protocol: 'websocket'
  /** Offered protocols, best first. For a session only those that are known; never a bearer token; may be empty. */
  readonly subprotocols: readonly string[]
  /** The nonce of RFC 6455 section 4.1, which the API server's answer has to match. */
  readonly key: string
}

/** Begins the entry of `Sec-WebSocket-Protocol` in which browsers carry their token. */
const BEARER_SUBPROTOCOL_PREFIX = 'base64url.bearer.authorization.k8s.io.'

/** Most protocols that a client may offer. */
export const MAX_SUBPROTOCOLS = 16

const REMOTE_COMMAND_OVER_SPDY = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
]
const REMOTE_COMMAND_OVER_WEBSOCKET = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
]

/**
 * The protocols that are understood well enough to record a session. No other is ever offered upstream.
 *
 * @see k8s.io/cri-streaming `pkg/streaming/remotecommand` and `pkg/streaming/portforward` (v0.36), KEP-4006
 */
const SESSION_SUBPROTOCOLS: Readonly<Record<Upgrade['protocol'], Readonly<Record<SessionKind, readonly string[]>>>> = {
  'SPDY/3.1': {
    exec: REMOTE_COMMAND_OVER_SPDY,
    attach: REMOTE_COMMAND_OVER_SPDY,
    portforward: ['portforward.k8s.io'],
  },
  websocket: {
    exec: REMOTE_COMMAND_OVER_WEBSOCKET,
    attach: REMOTE_COMMAND_OVER_WEBSOCKET,
    portforward: ['SPDY/3.1+portforward.k8s.io', 'v4.channel.k8s.io', 'v4.base64.channel.k8s.io'],
  },
}

/** RFC 9110's token, and `/`, which stands in `SPDY/3.1+portforward.k8s.io`. */
const SUBPROTOCOL = /^[\w!#$%&'*+.^`|~/-]{1,128}$/
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{22}==$/

/**
 * Decides whether a request is an upgrade. Returns undefined when it is none: without an `Upgrade` header, or
 * without exactly the token `upgrade` in `Connection`. Since neither header is ever passed on, the API server
 * cannot see an upgrade there either.
 *
 * @throws StatusError 400 for an upgrade that is not let through: any other protocol, two of them, a path
 * that does not stream, a method that does not go with it, a body, or a malformed handshake.
 * @see RFC 9110 section 7.8, RFC 6455 section 4.1
 */
export function parseUpgrade(method: string, info: RequestInfo, headers: RawHeaders): Upgrade | undefined {
  const asked = headerValues(headers, 'upgrade')
  if (asked.length === 0 || !namesUpgrade(headers)) return undefined
  const protocol = asked.length === 1 ? knownProtocol(asked[0] ?? '') : undefined
  if (protocol === undefined) throw badRequest(`an upgrade to ${excerpt(asked.join(', '))} is not allowed`)
  if (!isStreamed(protocol, method, info)) throw badRequest(`this path and method cannot be upgraded to ${protocol}`)
  if (hasBody(headers)) throw badRequest('an upgrade must not have a body')
  if (protocol === 'SPDY/3.1') {
    return { protocol, subprotocols: offered(headers, 'x-stream-protocol-version', protocol, info) }
  }
  return {
    protocol,
    subprotocols: offered(headers, 'sec-websocket-protocol', protocol, info),
    key: webSocketKey(headers),
  }
}

/**
 * The header lines that belong to an upgrade, without `Upgrade` and `Connection`. Each SPDY protocol has a line of
 * its own, as servers before 1.22 want it. WebSocket extensions are never asked for.
 */
export function upgradeHeaders(upgrade: Upgrade): string[] {
  if (upgrade.protocol === 'SPDY/3.1') {
    return upgrade.subprotocols.flatMap((name) => ['X-Stream-Protocol-Version', name])
  }
  const handshake = ['Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', upgrade.key]
  if (upgrade.subprotocols.length === 0) return handshake
  return [...handshake, 'Sec-WebSocket-Protocol', upgrade.subprotocols.join(', ')]
}

/**
 * The stream protocol that a 101 agrees on; empty for a WebSocket without one.
 *
 * @param answer `protocol` is the value of its `Upgrade` header.
 * @throws StatusError 502 when the API server switches to something that was not asked for.
 */
export function agreedSubprotocol(
  upgrade: Upgrade,
  answer: { readonly protocol: string; readonly headers: RawHeaders },
): string {
  if (knownProtocol(answer.protocol) !== upgrade.protocol) {
    throw badGateway(`the API server did not switch to ${upgrade.protocol}`)
  }
  if (headerValues(answer.headers, 'sec-websocket-extensions').length > 0) {
    throw badGateway('the API server agreed to a WebSocket extension that was not offered')
  }
  const isSpdy = upgrade.protocol === 'SPDY/3.1'
  const chosen = headerValues(answer.headers, isSpdy ? 'x-stream-protocol-version' : 'sec-websocket-protocol')
  const [subprotocol = ''] = chosen
  const isOffered = chosen.length === 1 && upgrade.subprotocols.includes(subprotocol)
  if (isOffered || (chosen.length === 0 && !isSpdy)) return subprotocol
  throw badGateway('the API server chose a stream protocol that was not offered')
}

function namesUpgrade(headers: RawHeaders): boolean {
  return headerMembers(headers, 'connection').some((token) => token.toLowerCase() === 'upgrade')
}

function knownProtocol(value: string): Upgrade['protocol'] | undefined {
  const lower = value.toLowerCase()
  if (lower === 'spdy/3.1') return 'SPDY/3.1'
  return lower === 'websocket' ? 'websocket' : undefined
}

/** SPDY opens sessions; a WebSocket can also carry a watch, a log and what lies behind `proxy`. */
function isStreamed(protocol: Upgrade['protocol'], method: string, info: RequestInfo): boolean {
  if (protocol === 'SPDY/3.1') return (method === 'GET' || method === 'POST') && sessionKind(info) !== undefined
  if (method !== 'GET' || !info.isResourceRequest) return false
  return sessionKind(info) !== undefined || info.verb === 'watch' || isLogOrProxy(info)
}

function isLogOrProxy({ apiGroup, resource, subresource }: RequestInfo): boolean {
  if (apiGroup !== '') return false
  if (subresource === 'log') return resource === 'pods'
  return subresource === 'proxy' && (resource === 'pods' || resource === 'services' || resource === 'nodes')
}

function hasBody(headers: RawHeaders): boolean {
  if (headerValues(headers, 'transfer-encoding').length > 0) return true
  return headerValues(headers, 'content-length').some((length) => length !== '0')
}

function webSocketKey(headers: RawHeaders): string {
  const versions = headerValues(headers, 'sec-websocket-version')
  const keys = headerValues(headers, 'sec-websocket-key')
  const [key = ''] = keys
  if (versions.length !== 1 || versions[0] !== '13') throw badRequest('the WebSocket version has to be 13')
  if (keys.length !== 1 || !WEBSOCKET_KEY.test(key)) throw badRequest('the WebSocket key is malformed')
  return key
}

function isBearerToken(subprotocol: string): boolean {
  return subprotocol.toLowerCase().startsWith(BEARER_SUBPROTOCOL_PREFIX)
}

function offered(
  headers: RawHeaders,
  name: string,
  protocol: Upgrade['protocol'],
  info: RequestInfo,
): readonly string[] {
  const members = headerMembers(headers, name).filter((member) => !isBearerToken(member))
  if (members.length > MAX_SUBPROTOCOLS) throw badRequest(`more than ${MAX_SUBPROTOCOLS} stream protocols are offered`)
  if (!members.every((member) => SUBPROTOCOL.test(member))) throw badRequest('the stream protocols are malformed')
  const names = [...new Set(members)]
  const kind = sessionKind(info)
  if (kind === undefined) return names
  const known = names.filter((candidate) => SESSION_SUBPROTOCOLS[protocol][kind].includes(candidate))
  if (known.length === 0 && names.length > 0) {
    throw badRequest(`none of the offered stream protocols is known: ${excerpt(names.join(', '))}`)
  }
  return known
}
