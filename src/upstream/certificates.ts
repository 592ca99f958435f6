import { createPrivateKey, X509Certificate } from 'node:crypto'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** A client certificate with its chain, and its private key, all PEM. */
export interface ClientCertificate {
  readonly certificate: string
  readonly key: string
}

/** The certificates of a PEM text, in order. @throws Error when one cannot be read or there is none. */
function readCertificates(pem: string, what: string): readonly X509Certificate[] {
  const found = pem.match(CERTIFICATE) ?? []
  if (found.length === 0) throw new Error(`${what} holds no PEM certificate`)
  return found.map((text) => {
    try {
      return new X509Certificate(text)
    } catch (error) {
      throw new Error(`${what} holds a certificate that cannot be read`, { cause: error })
    }
  })
}

/** Why something is not in force at a time, in milliseconds since the epoch, as one phrase; empty while it is. */
export type LapseAt = (atMs: number) => string

/**
 * When nothing can be verified with a bundle of certificate authorities. `what` names it in messages.
 *
 * @throws Error with one phrase when it cannot be read
 */
export function lapseOfAuthorities(pem: string, what: string): LapseAt {
  const lapses = readCertificates(pem, what).map((authority) => lapseOf(authority, what))
  return (atMs) => {
    const all = lapses.map((lapse) => lapse(atMs))
    return all.includes('') ? '' : (all[0] ?? '')
  }
}

/**
 * When nobody can sign in with a client certificate. `what` names it in messages.
 *
 * @throws Error with one phrase when it cannot be read, or does not belong to its key
 */
export function lapseOfClientCertificate({ certificate, key }: ClientCertificate, what: string): LapseAt {
  const [leaf] = readCertificates(certificate, what)
  if (leaf === undefined) return () => ''
  if (!leaf.checkPrivateKey(readPrivateKey(key, what))) throw new Error(`the key of ${what} belongs to another one`)
  return lapseOf(leaf, what)
}

function lapseOf({ validFromDate, validToDate }: X509Certificate, what: string): LapseAt {
  return (atMs) => {
    if (validToDate.getTime() < atMs) return `${what} expired on ${validToDate.toISOString()}`
    return validFromDate.getTime() > atMs ? `${what} is not valid before ${validFromDate.toISOString()}` : ''
  }
}

/**
 * Makes sure that something can be verified with a bundle of certificate authorities. `what` names it in messages.
 *
 * @throws Error with one phrase
 */
export function checkAuthorities(pem: string, what: string, atMs: number): void {
  inForce(lapseOfAuthorities(pem, what)(atMs))
}

/**
 * Makes sure that a certificate is in force and belongs to its key. `what` names it in messages.
 *
 * @throws Error with one phrase
 */
export function checkClientCertificate(pair: ClientCertificate, what: string, atMs: number): void {
  inForce(lapseOfClientCertificate(pair, what)(atMs))
}

function inForce(lapse: string): void {
  if (lapse !== '') throw new Error(lapse)
}

/**
 * Makes sure that one of the authorities signed the end of a certificate's chain, as it is in the PEM text. `what` names
 * the certificate in messages.
 *
 * @throws Error with one phrase
 */
export function checkIssued(certificate: string, authorities: string, what: string): void {
  const chain = readCertificates(certificate, what)
  const known = readCertificates(authorities, 'its certificate authority')
  const holds = chain.some((link) =>
    known.some((authority) => link.checkIssued(authority) && link.verify(authority.publicKey)),
  )
  if (!holds) throw new Error(`${what} is not signed by its certificate authority`)
}

function readPrivateKey(pem: string, what: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem)
  } catch {
    // OpenSSL's own words would not help, and may quote the input.
    throw new Error(`the key of ${what} is not a PEM private key without passphrase`)
  }
}
