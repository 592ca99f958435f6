import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'

/** Of the names that a message tells, so many are enough. */
const MAX_NAMES_TOLD = 5

/** The host of a URL as certificates have it: an IPv6 address without brackets, a name without a dot at its end. */
export function hostOfURL(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

/** Names and addresses that a certificate is for, as it has them. */
export function hostsOfCertificate({ subjectAltName = '' }: X509Certificate): readonly string[] {
  return subjectAltName.split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, ''))
}

/** The wildcard that stands for a name too: for its first label, and for no more (RFC 6125 section 6.4.3). */
export function wildcardFor(name: string): string {
  return name.replace(/^[^.]+/, '*')
}

/**
 * Why clients of a host would refuse a server with these certificates, in one phrase; empty when they would not. A name
 * chooses among all of them (SNI), an address cannot (RFC 6066 section 3) and is shown the first.
 *
 * @param certificates PEM, each with its chain behind it
 * @param host a lower-case name or an address
 */
export function whyUncovered(certificates: readonly string[], host: string): string {
  const leaves = certificates.map((pem) => new X509Certificate(pem))
  if (isIP(host) !== 0) {
    const covered = leaves[0]?.checkIP(host) !== undefined
    return covered ? '' : `the certificate that clients without a host name are shown is not for ${host}`
  }
  const names = [...new Set(leaves.flatMap(hostsOfCertificate).map((name) => name.toLowerCase()))]
  if (names.includes(host) || names.includes(wildcardFor(host))) return ''
  const told = names.filter((name) => name !== '').slice(0, MAX_NAMES_TOLD)
  const more = names.length > told.length && told.length === MAX_NAMES_TOLD ? ', …' : ''
  return `no certificate is for ${host}${told.length === 0 ? '' : `, only for ${told.join(', ')}${more}`}`
}
