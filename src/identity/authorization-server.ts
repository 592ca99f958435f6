/**
 * Path at the portal of what is an authorization server to people's machines, for an issuer whose client is confidential:
 * `/oauth/` and the issuer's URL without scheme and trailing slash. Each has one of its own, so that the answer of one
 * issuer cannot pass for that of another.
 *
 * @param issuer URL of the issuer, https without query and fragment.
 * @see RFC 9700 section 4.4.2.2
 */
export function authorizationServerPath(issuer: string): string {
  const { host, pathname } = new URL(issuer)
  return `/oauth/${host}${pathname.replace(/\/+$/, '')}`
}

/** What has to be registered at the issuer as redirect URI. `portal` is the origin of the portal. */
export function redirectURIOf(portal: string, issuer: string): string {
  return `${portal}${authorizationServerPath(issuer)}/callback`
}
