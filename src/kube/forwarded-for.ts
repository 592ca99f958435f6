import { SocketAddress, isIP } from 'node:net'
import { type RawHeaders, headerValues } from './raw-headers.ts'
import { MAX_HEADER_LINES } from './request-headers.ts'

/** Most proxies that a request is followed back through. */
export const MAX_PROXIES = 16

/** The addresses that a request came by; at least one. */
export type SourceAddresses = readonly [client: string, ...proxies: string[]]

/**
 * Where a request came from: the client's address, and behind it those of the trusted proxies that it passed, the nearest
 * last; that is the order of `sourceIPs` in an audit event, of which only the first counts for a decision.
 *
 * `X-Forwarded-For` is read from its end, since each proxy adds there whom it was talking to: every entry is believed as
 * far as it was written by a trusted address. What stands before the first untrusted one anybody may have written, and
 * it is left out. An entry that is no address ends the way as well: then the proxy that wrote it counts as the client.
 * Without a trusted peer no header is looked at.
 *
 * `peer` is the address of the other end of the connection, empty when that is gone; addresses come back as
 * {@link https://www.rfc-editor.org/rfc/rfc5952 RFC 5952} writes them, IPv4 ones as IPv4, none with a port.
 *
 * @see k8s.io/apimachinery `pkg/util/net/http.go`, SourceIPs (v0.36), which believes everybody
 */
export function sourceAddresses(
  peer: string,
  headers: RawHeaders,
  isTrustedProxy: (address: string) => boolean,
): SourceAddresses {
  const nearest = canonical(peer) ?? peer
  // Of more lines the last, which the nearest proxy wrote, may not have been kept.
  if (isIP(nearest) === 0 || !isTrustedProxy(nearest) || headers.length > 2 * MAX_HEADER_LINES) return [nearest]
  const back = [nearest]
  for (const entry of entriesFromTheEnd(headers)) {
    const address = parseEntry(entry)
    if (address === null || back.length > MAX_PROXIES) break
    back.push(address)
    if (!isTrustedProxy(address)) break
  }
  const [client = nearest, ...proxies] = back.reverse()
  return [client, ...proxies]
}

function* entriesFromTheEnd(headers: RawHeaders): Generator<string> {
  let rest: string | null = headerValues(headers, 'x-forwarded-for').join(',')
  while (rest !== null) {
    const comma: number = rest.lastIndexOf(',')
    yield rest.slice(comma + 1)
    rest = comma === -1 ? null : rest.slice(0, comma)
  }
}

/** `ADDRESS`, `IPV4:PORT`, `[IPV6]` or `[IPV6]:PORT`, with blanks around it. */
const ENTRY = /^[ \t]*(?:([\d.]{7,15})(?::\d{1,5})?|\[([\dA-Fa-f:.]{2,45})\](?::\d{1,5})?|([\dA-Fa-f:.]{2,45}))[ \t]*$/

/** The address of an entry; null when it has none, which goes for names, `unknown`, zones and nothing at all too. */
function parseEntry(entry: string): string | null {
  const [, v4, bracketed, bare = ''] = ENTRY.exec(entry) ?? []
  if (bracketed !== undefined && isIP(bracketed) !== 6) return null
  return canonical(v4 ?? bracketed ?? bare)
}

const MAPPED = '::ffff:'

function canonical(address: string): string | null {
  const version = isIP(address)
  if (version !== 6) return version === 4 ? address : null
  const plain = mappedIPv4(address)
  // What a socket says of a link-local peer; its zone is kept.
  if (plain !== null || address.includes('%')) return plain ?? address
  const written = new SocketAddress({ address, family: 'ipv6' }).address
  return mappedIPv4(written) ?? written
}

function mappedIPv4(address: string): string | null {
  if (!address.startsWith(MAPPED)) return null
  const rest = address.slice(MAPPED.length)
  return isIP(rest) === 4 ? rest : null
}
