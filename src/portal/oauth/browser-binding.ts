import { createHash, randomBytes } from 'node:crypto'
import { LOGIN_LIFETIME_MS } from './pending-login.ts'

/** Bound to this host, this path and TLS by its prefix (RFC 6265bis section 4.1.3.2), so that no other page can set it. */
const NAME = '__Host-postern-login'
const VALUE = /^[\w-]{43}$/
const BYTES = 32
/** Longer than a login, so that one that took too long is told so. */
const MAX_AGE_SECONDS = (2 * LOGIN_LIFETIME_MS) / 1000

/**
 * The value that a browser shows which began a login here; undefined when it shows none, or several.
 *
 * It signs nobody in: it tells only that the browser that comes back is the one that went.
 */
export function browserValue(cookieHeader: string | undefined): string | undefined {
  const values = (cookieHeader ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${NAME}=`))
    .map((pair) => pair.slice(NAME.length + 1))
  const [value = ''] = values
  return values.length === 1 && VALUE.test(value) ? value : undefined
}

/** A new value, for a browser that has none. One that it has stays, since it may have several logins under way. */
export function newBrowserValue(): string {
  return randomBytes(BYTES).toString('base64url')
}

/** A Set-Cookie that the browser sends when an issuer sends it back here, and to no page of another site. */
export function browserCookie(value: string): string {
  return `${NAME}=${value}; Path=/; Max-Age=${MAX_AGE_SECONDS}; Secure; HttpOnly; SameSite=Lax`
}

/** What a login remembers of the browser that it began in. */
export function browserDigest(value: string): string {
  return createHash('sha256').update(value).digest('base64url')
}
