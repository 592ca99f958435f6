/** Who the connector is at an API server, beside the client certificate that the TLS context may hold. */
export interface Credential {
  /** Value of `Authorization` for a request that is sent now; undefined when there is none to send. */
  authorization(): string | undefined
  /** To be called when the API server answered 401: a credential that can be renewed is looked at again at once. */
  rejected(): void
  /** Why the last renewal failed, for the operator's log; empty while all is well. */
  readonly problem: string
  /** What the operator may do when the API server answers 401; absent when there is nothing to add. */
  readonly refusalHint?: string
  /** Ends the renewal. */
  close(): void
}

/** What may be sent as a bearer token (RFC 6750 section 2.1, wider: any visible ASCII). */
const TOKEN = /^[\x21-\x7e]+$/

/** Whether the text can be sent as a bearer token. */
export function isBearerToken(text: string): boolean {
  return TOKEN.test(text)
}

/** A bearer token that stays as it is. */
export class FixedToken implements Credential {
  readonly problem = ''
  readonly #authorization: string

  /** @throws TypeError when the token cannot be sent; the message does not quote it. */
  constructor(token: string) {
    if (!isBearerToken(token)) throw new TypeError('the token holds characters that no token has')
    this.#authorization = `Bearer ${token}`
  }

  authorization(): string {
    return this.#authorization
  }

  rejected(): void {
    // Nothing to renew it from.
  }

  close(): void {
    // Holds nothing open.
  }
}

/** The client certificate says it all. */
export class CertificateOnly implements Credential {
  readonly problem = ''

  authorization(): undefined {
    return undefined
  }

  rejected(): void {
    // Nothing to renew it from.
  }

  close(): void {
    // Holds nothing open.
  }
}
