import { excerpt } from '../kube/quote.ts'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { badGateway } from '../kube/status.ts'
import type { Authorized } from './stages.ts'

/** Redirects of the OpenAPI v3 documents lead to the same document under its newer hash. */
const OPENAPI = '/openapi/v3/'
/** How much of a refused `Location` the log shows. */
const MAX_LOGGED_CHARACTERS = 256

/**
 * Lets a redirect pass to the client only where the API has one: to a path below `/openapi/v3/`, or below the
 * `…/proxy/` that was authorized. Its `Location` then gets the socket's prefix. Redirects are never followed.
 *
 * @throws StatusError 502 for any other redirect (the class of CVE-2020-8559 and CVE-2022-3172).
 */
export function relayRedirect(authorized: Authorized, statusCode: number, headers: RawHeaders): RawHeaders {
  if (statusCode < 300 || statusCode > 399 || statusCode === 304) return headers
  const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'location')
  const location = at === -1 ? '' : (headers[at + 1] ?? '')
  if (!leadsBelow(location, root(authorized))) {
    throw badGateway('the API server answered with a redirect that is not passed on', {
      detail: `redirect to ${excerpt(location, MAX_LOGGED_CHARACTERS)}`,
    })
  }
  const relayed = [...headers]
  relayed[at + 1] = authorized.authenticated.prefix + location
  return relayed
}

function root({ authenticated }: Authorized): string {
  const { target, requestInfo } = authenticated.request
  if (requestInfo.isResourceRequest && requestInfo.subresource === 'proxy') {
    return target.slice(0, target.indexOf('/proxy') + '/proxy'.length) + '/'
  }
  return target.startsWith(OPENAPI) ? OPENAPI : ''
}

function leadsBelow(location: string, directory: string): boolean {
  if (directory === '' || !location.startsWith(directory)) return false
  return !/(?:^|\/)(?:\.|%2e){1,2}(?:\/|\?|#|$)|[\\\s]/i.test(location)
}
