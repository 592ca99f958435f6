import { constants, X509Certificate } from 'node:crypto'
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from 'node:tls'
import { hostsOfCertificate, wildcardFor } from './certificate-hosts.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** A certificate with its chain behind it, and its private key, both PEM. */
export interface ServerCertificate {
  readonly certificate: string
  readonly key: string
  /** PEM of the authorities that clients have to be told of, where the chain does not end in one. */
  readonly authorities?: string
}

/** At least one; the first is for clients that name no host, or one that no certificate is for. */
export type ServerCertificateList = readonly [ServerCertificate, ...ServerCertificate[]]

/** What is said of a certificate in force. */
export interface CertificateInForce {
  /** Names and addresses that it is for, as it has them. */
  readonly hosts: readonly string[]
  /** Milliseconds since the epoch. */
  readonly notAfterMs: number
}

interface Entry extends CertificateInForce {
  readonly chain: string
  readonly authorities: string | undefined
  readonly context: SecureContext
}

/**
 * The certificates that a TLS server proves its names with, chosen by the name that the client asks for (SNI, RFC 6066
 * section 3). They can be replaced while it serves: open connections stay as they are, new ones get the new certificates.
 */
export class ServerCertificates {
  #list: ServerCertificateList
  #entries: readonly Entry[]
  #byName: ReadonlyMap<string, Entry>
  #clientAuthorities: string
  #server: Server | null = null

  /**
   * @param clientAuthorities PEM of those whose clients may show a certificate, which is asked for then and never demanded;
   * empty asks nobody
   * @throws Error when OpenSSL does not take one of the certificates
   */
  constructor(list: ServerCertificateList, clientAuthorities = '') {
    this.#clientAuthorities = clientAuthorities
    this.#list = list
    this.#entries = list.map((pair) => this.#entryOf(pair))
    this.#byName = namesOf(this.#entries)
  }

  /** For the making of the server, which is then told to {@link serve}. TLS 1.2 or later. */
  get options(): TlsOptions {
    return {
      ...this.#contextOptions(this.#list[0]),
      // A client without a certificate comes with a token, and one whose certificate does not hold is answered a Status: the
      // listener looks at `authorized` and refuses it, where the handshake would only break off.
      ...(this.#clientAuthorities !== '' && { requestCert: true, rejectUnauthorized: false }),
      SNICallback: (name, done) => {
        done(null, this.#find(name)?.context)
      },
    }
  }

  /** The server that was made with {@link options}. */
  serve(server: Server): void {
    this.#server = server
  }

  /** @throws Error when OpenSSL does not take one of them; all stay as they were then. */
  replace(list: ServerCertificateList): void {
    const entries = list.map((pair) => this.#entryOf(pair))
    this.#server?.setSecureContext(this.#contextOptions(list[0]))
    this.#list = list
    this.#entries = entries
    this.#byName = namesOf(entries)
  }

  /**
   * Whose clients may show a certificate from now on, where there were such authorities before. Sessions of TLS that began
   * before are not resumed.
   *
   * @throws Error when OpenSSL does not take them; all stays as it was then.
   */
  replaceClientAuthorities(pem: string): void {
    const before = this.#clientAuthorities
    this.#clientAuthorities = pem
    try {
      this.replace(this.#list)
    } catch (error) {
      this.#clientAuthorities = before
      throw error
    }
  }

  get inForce(): readonly CertificateInForce[] {
    return this.#entries
  }

  /**
   * PEM of what clients have to be told to trust for a host: the authorities that were named, else the self-signed
   * certificate that ends the chain. Empty when there is neither.
   */
  authorityFor(host: string): string {
    const entry = this.#find(host) ?? this.#entries[0]
    if (entry?.authorities !== undefined) return `${entry.authorities.match(CERTIFICATE)?.join('\n') ?? ''}\n`
    const last = entry?.chain.match(CERTIFICATE)?.at(-1)
    if (last === undefined) return ''
    const certificate = new X509Certificate(last)
    return certificate.checkIssued(certificate) ? `${last}\n` : ''
  }

  /** A name goes before a wildcard. */
  #find(host: string): Entry | undefined {
    const name = host.toLowerCase()
    return this.#byName.get(name) ?? this.#byName.get(wildcardFor(name))
  }

  #entryOf(pair: ServerCertificate): Entry {
    const leaf = new X509Certificate(pair.certificate)
    return {
      hosts: hostsOfCertificate(leaf),
      notAfterMs: leaf.validToDate.getTime(),
      chain: pair.certificate,
      authorities: pair.authorities,
      context: createSecureContext(this.#contextOptions(pair)),
    }
  }

  #contextOptions({ certificate, key }: ServerCertificate): SecureContextOptions {
    return {
      cert: certificate,
      key,
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ...(this.#clientAuthorities !== '' && { ca: this.#clientAuthorities }),
    }
  }
}

/** The first certificate of several for a name counts. */
function namesOf(entries: readonly Entry[]): ReadonlyMap<string, Entry> {
  const byName = new Map<string, Entry>()
  for (const entry of entries) {
    for (const host of entry.hosts) if (!byName.has(host.toLowerCase())) byName.set(host.toLowerCase(), entry)
  }
  return byName
}
