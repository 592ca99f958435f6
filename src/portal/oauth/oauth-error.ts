/** Printable ASCII without `"` and `\`, which is all that the protocol allows (RFC 6749 section 5.2). */
const NOT_ALLOWED = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/g
const MAX_CODE_LENGTH = 64
const MAX_DESCRIPTION_LENGTH = 200

/** A refusal in the words of OAuth, which the client may see. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  /** Of HTTP, where it is the answer to a client. */
  readonly statusCode: number
  /** Such as `invalid_grant`. */
  readonly error: string
  readonly description: string

  /** `cause` is for the operator's log, and tells that there is something for it. */
  constructor(
    error: string,
    description: string,
    options: { readonly statusCode?: number; readonly cause?: Error } = {},
  ) {
    super(`${error}: ${description}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.statusCode = options.statusCode ?? 400
    this.error = error.replaceAll(NOT_ALLOWED, '').slice(0, MAX_CODE_LENGTH)
    this.description = description.replaceAll(NOT_ALLOWED, '').slice(0, MAX_DESCRIPTION_LENGTH)
  }
}

/** The issuer cannot be asked now, or did not answer as the protocol has it. */
export function temporarilyUnavailable(description: string, cause?: Error): OAuthError {
  return new OAuthError('temporarily_unavailable', description, {
    statusCode: 503,
    ...(cause !== undefined && { cause }),
  })
}
