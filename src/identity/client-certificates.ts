import type { X509Certificate } from 'node:crypto'
// toLegacyObject() leaves node:tls without createSecureContext when it is what loads it first (seen with Node 24.21).
import 'node:tls'
import { excerpt } from '../kube/quote.ts'
import type { Subject } from '../kube/subject.ts'
import type { Authentication } from './authenticator.ts'
import type { PresentedCertificate } from './presented-certificate.ts'
import { machineRefusal } from './refusal.ts'
import { flawOfName, MAX_GROUPS } from './subject-name.ts'

/** Extended key usage `clientAuth` (RFC 5280 section 4.2.1.12). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

export interface ClientCertificatesOptions {
  /** Put before usernames and groups. See {@link isMachinePrefix}. */
  readonly prefix: string
}

/**
 * Certificates of clients: the common name is the username, organizations are groups, as in Kubernetes. Whether one was
 * revoked is not looked up, so they should be short-lived.
 *
 * @see k8s.io/apiserver `pkg/authentication/request/x509/x509.go`, CommonNameUserConversion
 */
export class ClientCertificates {
  readonly #prefix: string
  readonly #clock: () => number
  readonly #known = new WeakMap<X509Certificate, Authentication>()

  constructor({ prefix }: ClientCertificatesOptions, clock: () => number) {
    this.#prefix = prefix
    this.#clock = clock
  }

  /** @throws StatusError 401 when the certificate is nobody's, or does not hold any more. */
  authenticate({ certificate, problem }: PresentedCertificate): Authentication {
    if (problem !== '') {
      throw machineRefusal('the client certificate is not one that is trusted here', { detail: problem })
    }
    const authentication = this.#known.get(certificate) ?? this.#read(certificate)
    const nowMs = this.#clock()
    if (nowMs >= authentication.expiresAtMs) throw machineRefusal('the client certificate expired')
    if (nowMs < certificate.validFromDate.getTime()) throw machineRefusal('the client certificate is not valid yet')
    return authentication
  }

  #read(certificate: X509Certificate): Authentication {
    // Without the extension a certificate is good for anything; one that was not made for this is not taken.
    if (certificate.ca || !extendedKeyUsage(certificate).includes(CLIENT_AUTH)) {
      throw machineRefusal('the client certificate is not made for clients', {
        detail: `${excerpt(certificate.subject)} lacks the extended key usage clientAuth, or is an authority's`,
      })
    }
    const { CN: commonName, O: organizations } = certificate.toLegacyObject().subject as Readonly<
      Record<string, unknown>
    >
    const username = this.#named(commonName)
    const groups = listOf(organizations).map((name) => this.#named(name))
    const authentication: Authentication = Object.freeze({
      subject: Object.freeze({
        username,
        uid: '',
        groups: Object.freeze([...new Set(groups)]),
        extra: Object.freeze(Object.create(null) as Subject['extra']),
      }),
      issuer: 'client certificates',
      expiresAtMs: certificate.validToDate.getTime(),
      isFinal: true,
    })
    this.#known.set(certificate, authentication)
    return authentication
  }

  #named(name: unknown): string {
    if (typeof name !== 'string' || flawOfName(name) !== undefined) {
      throw machineRefusal('the client certificate has no usable name')
    }
    return this.#prefix + name
  }
}

/** OIDs; node calls the property after the plain key usage, and has none for a certificate without the extension. */
function extendedKeyUsage({ keyUsage }: { readonly keyUsage?: readonly string[] }): readonly string[] {
  return keyUsage ?? []
}

function listOf(value: unknown): readonly unknown[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value]
  if (list.length > MAX_GROUPS) throw machineRefusal(`the client certificate has more than ${MAX_GROUPS} organizations`)
  return list
}
