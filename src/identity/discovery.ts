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
  const { keysUrl } = await fetchDiscovery(issuer, signal)
  if (keysUrl === undefined) throw new Error(`${discoveryUrlOf(issuer).href} names no jwks_uri with https`)
  const { value, maxAgeSeconds } = await fetchJson(keysUrl, { certificateAuthority, signal })
  try {
    return { keys: readKeySet(value), maxAgeSeconds }
  } catch (cause) {
    throw new Error(`${keysUrl.href} ${cause instanceof Error ? cause.message : 'cannot be read'}`, { cause })
  }
}

/** Endpoints of an issuer; undefined when the document names none with https. */
interface Discovery {
  readonly keysUrl: URL | undefined
  readonly tokenUrl: URL | undefined
  readonly userinfoUrl: URL | undefined
  /** All that the document says, whatever its types. */
  readonly document: Readonly<Record<string, unknown>>
}

/** Fetches the issuer's discovery document. @throws Error as {@link fetchPublishedKeys}. */
export async function fetchDiscovery(issuer: IssuerOptions, signal: AbortSignal): Promise<Discovery> {
  const { certificateAuthority } = issuer
  const url = discoveryUrlOf(issuer)
  const { value } = await fetchJson(url, { certificateAuthority, signal })
  const document = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  const { issuer: named } = document
  if (typeof named !== 'string') throw new Error(`${url.href} is not a discovery document`)
  if (named !== issuer.url) throw new Error(`${url.href} is of issuer ${excerpt(named)}, not of ${issuer.url}`)
  return {
    keysUrl: httpsUrl(document['jwks_uri']),
    tokenUrl: httpsUrl(document['token_endpoint']),
    userinfoUrl: httpsUrl(document['userinfo_endpoint']),
    document,
  }
}

function discoveryUrlOf({ url, discoveryURL }: IssuerOptions): URL {
  return new URL(discoveryURL ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`)
}

/** Undefined for anything but an https URL. */
export function httpsUrl(value: unknown): URL | undefined {
  const url = typeof value === 'string' ? URL.parse(value) : null
  return url?.protocol === 'https:' ? url : undefined
}
