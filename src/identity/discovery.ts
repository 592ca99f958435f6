import { excerpt } from '../kube/quote.ts'
import { fetchJson } from './https-json.ts'
import type { IssuerOptions } from './issuer-options.ts'
import type { PublishedKeys } from './key-set.ts'
import { readKeySet } from './verification-key.ts'

/**
 * Fetches the issuer's discovery document and the JWK Set that it names.
 *
 * @throws Error for the operator: unreachable, or a document that is not this issuer's. The `issuer` in the document
 * has to be the configured one, character by character.
 * @see OpenID Connect Discovery 1.0 section 4.3
 */
export async function fetchPublishedKeys(issuer: IssuerOptions, signal: AbortSignal): Promise<PublishedKeys> {
  const { certificateAuthority } = issuer
  const discoveryUrl = new URL(
    issuer.discoveryURL ?? `${issuer.url.replace(/\/$/, '')}/.well-known/openid-configuration`,
  )
  const discovery = await fetchJson(discoveryUrl, { certificateAuthority, signal })
  const keysUrl = keysUrlOf(discovery.value, issuer.url, discoveryUrl)
  const { value, maxAgeSeconds } = await fetchJson(keysUrl, { certificateAuthority, signal })
  try {
    return { keys: readKeySet(value), maxAgeSeconds }
  } catch (cause) {
    throw new Error(`${keysUrl.href} ${cause instanceof Error ? cause.message : 'cannot be read'}`, { cause })
  }
}

function keysUrlOf(document: unknown, expectedIssuer: string, discoveryUrl: URL): URL {
  const { issuer, jwks_uri: keysUrl } =
    typeof document === 'object' && document !== null ? (document as DiscoveryDocument) : {}
  if (typeof issuer !== 'string') throw new Error(`${discoveryUrl.href} is not a discovery document`)
  if (issuer !== expectedIssuer) {
    throw new Error(`${discoveryUrl.href} is of issuer ${excerpt(issuer)}, not of ${expectedIssuer}`)
  }
  const url = typeof keysUrl === 'string' ? URL.parse(keysUrl) : null
  if (url?.protocol !== 'https:') throw new Error(`${discoveryUrl.href} names no jwks_uri with https`)
  return url
}

interface DiscoveryDocument {
  readonly issuer?: unknown
  readonly jwks_uri?: unknown
}
