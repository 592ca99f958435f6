import { type RawHeaders, headerMembers } from './raw-headers.ts'

/** Headers that end at this hop, or that say something about an origin, which is ours and not the API server's. */
const KEPT_BACK: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'sec-websocket-extensions',
  'alt-svc',
  'clear-site-data',
  'nel',
  'public-key-pins',
  'public-key-pins-report-only',
  'report-to',
  'reporting-endpoints',
  'server',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
])

/**
 * The header lines of an API server's answer that go back to the client, in order, then the gateway's own, which take
 * the place of lines of the same name.
 *
 * @see RFC 9110 section 7.6.1
 */
export function responseHeaders(received: RawHeaders, own: RawHeaders): string[] {
  const replaced = own.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  const hopByHop = headerMembers(received, 'connection').map((name) => name.toLowerCase())
  const headers: string[] = []
  for (let i = 0; i + 1 < received.length; i += 2) {
    const name = received[i] ?? ''
    const lower = name.toLowerCase()
    if (KEPT_BACK.has(lower) || lower.startsWith('proxy-')) continue
    if (replaced.includes(lower) || hopByHop.includes(lower)) continue
    headers.push(name, received[i + 1] ?? '')
  }
  headers.push(...own)
  return headers
}
