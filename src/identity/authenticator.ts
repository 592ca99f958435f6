import type { RawHeaders } from '../kube/raw-headers.ts'
import type { Subject } from '../kube/subject.ts'
import type { PresentedCertificate } from './presented-certificate.ts'
import type { Login } from './logins/login.ts'

/** A credential that was verified: who presented it and how long it holds. */
export interface Authentication {
  readonly subject: Subject
  /** Who vouches: the URL of the token's issuer, `serviceaccounts/SOCKET`, or `client certificates`. */
  readonly issuer: string
  /** When the credential ends, in milliseconds since the epoch. */
  readonly expiresAtMs: number
  /** Whether nothing renews it: what it opened ends when it does, whatever newer one comes by the same name. */
  readonly isFinal?: true
  /** What it belongs to; absent for machines, which do not sign in, and where logins are not told apart. */
  readonly login?: Login
}

/** Turns the credential of a request into a subject. */
export interface Authenticator {
  /**
   * Answers at once for a credential seen before, otherwise with a promise.
   *
   * @param certificate what the client presented on the TLS connection itself; null when nothing, or when none are taken.
   * @throws StatusError 401 when there is no credential, more than one, or one that does not hold, that of
   * a revoked login included;
   * 503 when the issuer cannot be reached to verify it.
   */
  authenticate(headers: RawHeaders, certificate?: PresentedCertificate | null): Authentication | Promise<Authentication>
}
