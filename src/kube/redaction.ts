/** What stands in the place of a secret. */
const REDACTED = '[redacted]'

/** A JSON Web Token: its header is a JSON object, which begins so in base64url. */
const JSON_WEB_TOKEN = /(?<=^|[^\w-]|%[\dA-F]{2})eyJ[\w-]{4,}\.[\w-]*(?:\.[\w-]*){0,3}/gi

/**
 * The value of a query parameter, or of an argument or variable of a command in one, that is called a secret: up to
 * the next parameter. `%3D` is the `=` of such an argument; `&command=` comes before its value when it stands apart.
 */
const NAMED_SECRET =
  /((?:password|passwd|passphrase|secret|token|credential|signature|api[-_]?key)(?:=|%3D|&command=))[^&]+/gi

/**
 * A request target, or any text of a client, as it may be logged: tokens, and the values of what is called a
 * password, a token or the like, are replaced. A measure of caution; what a secret is called cannot be known.
 * Linear in the length of the text.
 */
export function redactSecrets(text: string): string {
  return text.replace(JSON_WEB_TOKEN, REDACTED).replace(NAMED_SECRET, `$1${REDACTED}`)
}
