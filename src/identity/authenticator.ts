import type { RawHeaders } from '../kube/raw-headers.ts'
import type { Subject } from '../kube/subject.ts'

/** A credential that was verified: who presented it and how long it holds. */
export interface Authentication {
  readonly subject: Subject
  /** Issuer URL of the token. */
  readonly issuer: string
  /** When the credential ends, in milliseconds since the epoch. Streams opened with it end then. */
  readonly expiresAtMs: number
}

/** Turns the credential in a request's headers into a subject. */
export interface Authenticator {
  /**
   * Answers at once for a credential seen before, otherwise with a promise.
   *
   * @throws StatusError 401 when there is no credential, more than one, or one that does not hold;
   * 503 when the issuer cannot be reached to verify it.
   */
  authenticate(headers: RawHeaders): Authentication | Promise<Authentication>
}
