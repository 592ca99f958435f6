import { isIP } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import { type ClientCertificate, type LapseAt, lapseOfAuthorities, lapseOfClientCertificate } from './certificates.ts'
import { CertificateOnly, type Credential, FixedToken } from './credential.ts'
import type { Problems } from './endpoint-error.ts'
import { FilesRead } from './small-file.ts'
import { TokenFile } from './token-file.ts'

/** Certificates or a key may have at most so many bytes. */
const MAX_PEM_BYTES = 1024 * 1024

/** Where an API server is, how its identity is verified, and who we are there. */
export interface Endpoint {
  /** Name or address to dial, IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** Value of `Host`. */
  readonly authority: string
  /** Path of the server's URL, put before every target; empty or without a trailing slash. */
  readonly pathPrefix: string
  /** Name or address that the server's certificate must hold. */
  readonly serverName: string
  /** Trusted authorities and our client certificate. TLS 1.2 or later. */
  readonly secureContext: SecureContext
  /** Closed by whoever owns the endpoint; an upstream made of it does that in its own `close`. */
  readonly credential: Credential
  /**
   * Why the authorities or the client certificate are not in force at a time, which only the API server can hold against
   * us: the endpoint is used all the same.
   */
  readonly lapseAt: LapseAt
}

/** Text that stands in a file or was given. */
export type Text = { readonly file: string } | { readonly value: string }

/** What an endpoint is made of. */
export interface EndpointParts {
  /** `https://HOST[:PORT][/PATH]`. */
  readonly server: string
  /** PEM. Absent means the authorities that Node trusts. */
  readonly certificateAuthority?: Text | undefined
  /** Name that the server's certificate must hold when it is not the host of `server`. */
  readonly tlsServerName?: string | undefined
  /** Bearer token. A file is read again when it changes. */
  readonly token?: Text | undefined
  /** PEM. */
  readonly clientCertificate?: { readonly certificate: Text; readonly key: Text } | undefined
  /** In place of a token: one that is shared with other endpoints and is not closed when this one cannot be built. */
  readonly credential?: Credential | undefined
}

/**
 * Reads the files and checks everything but the time. Undefined when something is wrong, which is then in `problems`.
 *
 * @param files reads the files, those of tokens apart
 */
export async function buildEndpoint(
  parts: EndpointParts,
  problems: Problems,
  files = new FilesRead(),
): Promise<Endpoint | undefined> {
  const address = await problems.attempt(() => parseServer(parts.server))
  const ca = await problems.attempt(() => readAuthorities(parts.certificateAuthority, files))
  const client = await problems.attempt(() => readClientCertificate(parts.clientCertificate, files))
  if (parts.tlsServerName === '') problems.add('the TLS server name is empty')
  if (parts.token === undefined && parts.clientCertificate === undefined && parts.credential === undefined) {
    problems.add('there is neither a token nor a client certificate to sign in with')
  }
  const secureContext = await problems.attempt(() =>
    createSecureContext({ minVersion: 'TLSv1.2', ca: ca?.pem, cert: client?.certificate, key: client?.key }),
  )
  const credential = await problems.attempt(() => parts.credential ?? openCredential(parts.token))
  if (address === undefined || secureContext === undefined || credential === undefined || problems.any) {
    if (credential !== parts.credential) credential?.close()
    return undefined
  }
  const lapseAt: LapseAt = (atMs) =>
    [ca, client]
      .map((part) => part?.lapseAt(atMs) ?? '')
      .filter((lapse) => lapse !== '')
      .join('; ')
  return { ...address, serverName: parts.tlsServerName ?? address.host, secureContext, credential, lapseAt }
}

/**
 * What the URL of an API server says.
 *
 * @throws Error with one phrase
 */
export function parseServer(server: string): Pick<Endpoint, 'host' | 'port' | 'authority' | 'pathPrefix'> {
  if (server === '') throw new Error('no server is named')
  const url = URL.parse(server)
  if (url === null) throw new Error('the server is not a URL')
  if (url.protocol !== 'https:') throw new Error('the server is not an https:// URL; a credential needs TLS')
  if (url.username !== '' || url.password !== '') throw new Error('the server has a user name or a password in its URL')
  if (url.search !== '' || url.hash !== '') throw new Error('the server has a query or a fragment in its URL')
  const pathPrefix = url.pathname.replace(/\/+$/, '')
  if (!/^(?:\/[A-Za-z0-9._~-]+)*$/.test(pathPrefix)) throw new Error('the path in the URL of the server is not plain')
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 443 : Number(url.port),
    authority: url.host,
    pathPrefix,
  }
}

/** What is only good for a time. */
interface Timed {
  readonly lapseAt: LapseAt
}

async function readAuthorities(
  text: Text | undefined,
  files: FilesRead,
): Promise<(Timed & { readonly pem: string }) | undefined> {
  if (text === undefined) return undefined
  const pem = await readPem(text, files)
  return { pem, lapseAt: lapseOfAuthorities(pem, `the certificate authority${place(text)}`) }
}

async function readClientCertificate(
  texts: EndpointParts['clientCertificate'],
  files: FilesRead,
): Promise<(Timed & ClientCertificate) | undefined> {
  if (texts === undefined) return undefined
  const client = { certificate: await readPem(texts.certificate, files), key: await readPem(texts.key, files) }
  return { ...client, lapseAt: lapseOfClientCertificate(client, `the client certificate${place(texts.certificate)}`) }
}

async function readPem(text: Text, files: FilesRead): Promise<string> {
  return 'file' in text ? await files.read(text.file, MAX_PEM_BYTES) : text.value
}

function place(text: Text): string {
  return 'file' in text ? ` ${text.file}` : ''
}

async function openCredential(token: Text | undefined): Promise<Credential> {
  if (token === undefined) return new CertificateOnly()
  return 'file' in token ? await TokenFile.open(token.file) : new FixedToken(token.value.trim())
}

/** What goes into the TLS server name indication, which has no place for addresses (RFC 6066 section 3). */
export function serverNameIndication(endpoint: Endpoint): string {
  return isIP(endpoint.serverName) === 0 ? endpoint.serverName : ''
}
