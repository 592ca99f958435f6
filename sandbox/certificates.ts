import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate and its private key, both PEM. Fits `tls.createServer` and `tls.connect` when spread as `cert` and `key`. */
export interface CertificateAndKey {
  readonly cert: string
  readonly key: string
}

interface ServerCertificateRequest {
  /** DNS names and IP addresses; the first one is the common name. Default `localhost`, `127.0.0.1` and `::1`. */
  readonly hosts?: readonly string[]
  /** Ended yesterday. */
  readonly expired?: boolean
}

interface ClientCertificateRequest {
  /** Kubernetes reads it as the user name. */
  readonly commonName: string
  /** Kubernetes reads them as groups. */
  readonly organizations?: readonly string[]
  /** Ended yesterday. */
  readonly expired?: boolean
}

/** A certificate authority of one run's own. ECDSA P-256 throughout; what it issues is valid from now for a day. */
export interface CertificateAuthority {
  /** PEM, to be trusted by whoever shall. */
  readonly certificate: string
  issueServer(request?: ServerCertificateRequest): CertificateAndKey
  issueClient(request: ClientCertificateRequest): CertificateAndKey
}

const AUTHORITY_EXTENSIONS = `basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`

/** Makes an authority that nobody trusts yet. Needs the `openssl` command, 1.1.1 or later; takes some 30 ms. */
export function createCertificateAuthority(commonName = 'postern sandbox authority'): CertificateAuthority {
  const authority = sign({ subject: `/CN=${commonName}`, extensions: AUTHORITY_EXTENSIONS, days: 2 })
  return {
    certificate: authority.cert,
    issueServer({ hosts = ['localhost', '127.0.0.1', '::1'], expired = false } = {}) {
      const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`)
      return sign({
        subject: `/CN=${hosts[0] ?? 'localhost'}`,
        extensions: leafExtensions('serverAuth') + `subjectAltName = ${names.join(', ')}\n`,
        days: expired ? -1 : 1,
        authority,
      })
    },
    issueClient({ commonName: name, organizations = [], expired = false }) {
      return sign({
        subject: [...organizations.map((organization) => `/O=${organization}`), `/CN=${name}`].join(''),
        extensions: leafExtensions('clientAuth'),
        days: expired ? -1 : 1,
        authority,
      })
    },
  }
}

function leafExtensions(usage: 'serverAuth' | 'clientAuth'): string {
  return `basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = ${usage}
`
}

interface SigningRequest {
  /** OpenSSL's form, `/O=group/CN=name`. */
  readonly subject: string
  /** Lines of an OpenSSL extension section. */
  readonly extensions: string
  readonly days: number
  /** Absent for a certificate that signs itself. */
  readonly authority?: CertificateAndKey
}

/** Node makes keys but no certificates, so `openssl` signs, in a directory that is gone afterwards. */
function sign({ subject, extensions, days, authority }: SigningRequest): CertificateAndKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const directory = mkdtempSync(join(tmpdir(), 'postern-certificate-'))
  const path = (name: string): string => join(directory, name)
  try {
    writeFileSync(path('key.pem'), key, { mode: 0o600 })
    writeFileSync(path('extensions.cnf'), extensions)
    writeFileSync(path('request.cnf'), '[req]\ndistinguished_name = name\n[name]\n')
    openssl(['req', '-new', '-config', path('request.cnf'), '-key', path('key.pem'), '-subj', subject, '-utf8'], {
      out: path('request.pem'),
    })
    const signer = ['-signkey', path('key.pem')]
    if (authority !== undefined) {
      writeFileSync(path('authority.pem'), authority.cert)
      writeFileSync(path('authority-key.pem'), authority.key, { mode: 0o600 })
      const serial = `0x${crypto.randomUUID().replaceAll('-', '').slice(1)}`
      signer.splice(0, 2, '-CA', path('authority.pem'), '-CAkey', path('authority-key.pem'), '-set_serial', serial)
    }
    const validity = ['-days', String(days), '-sha256', '-extfile', path('extensions.cnf')]
    openssl(['x509', '-req', '-in', path('request.pem'), ...signer, ...validity], { out: path('certificate.pem') })
    return { cert: readFileSync(path('certificate.pem'), 'utf8'), key }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function openssl(command: readonly string[], { out }: { readonly out: string }): void {
  execFileSync('openssl', [...command, '-out', out], { stdio: ['ignore', 'ignore', 'pipe'] })
}
