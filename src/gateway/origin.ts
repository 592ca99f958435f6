import { excerpt } from '../kube/quote.ts'
import { type RawHeaders, headerValues } from '../kube/raw-headers.ts'
import { StatusError, failure } from '../kube/status.ts'

/**
 * Refuses what a page of another origin asks for. A browser lets any page open a WebSocket to anywhere and says in
 * `Origin` whose page it is; kubectl and other clients send none.
 *
 * @param own the listener's origin, `https://HOST[:PORT]`.
 * @throws StatusError 403
 * @see RFC 6455 section 10.2
 */
export function refuseForeignOrigin(headers: RawHeaders, own: string): void {
  const foreign = headerValues(headers, 'origin').find((origin) => origin !== own)
  if (foreign === undefined) return
  throw new StatusError(failure(403, 'Forbidden', `pages of the origin ${excerpt(foreign)} may not open sessions here`))
}
