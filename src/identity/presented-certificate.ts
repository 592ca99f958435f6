import type { X509Certificate } from 'node:crypto'

/** The certificate that the client of a TLS connection proved to have the key of. */
export interface PresentedCertificate {
  readonly certificate: X509Certificate
  /** Why its chain does not lead to a configured authority, in OpenSSL's words; empty when it does. */
  readonly problem: string
}
