import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { createSecureContext, getCACertificates } from 'node:tls'
import { ClientError } from './client-error.ts'

export interface FetchRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams
  readonly signal?: AbortSignal
}

/**
 * Makes a request over https and follows no redirect. Resolves when the answer's head is there; its body is for the
 * caller to read or to destroy. The signal ends both.
 */
export type HttpsStream = (url: string, request?: FetchRequest) => Promise<IncomingMessage>

/**
 * Trusts exactly the given authority (PEM), or, when it is empty, the authorities of Node and of the operating system.
 * HTTPS_PROXY and NO_PROXY are honoured, but never on the way to this machine itself.
 *
 * The request throws ClientError: `Untrusted` or `Unreachable`. What ends a body early is for {@link explainNetworkError}.
 */
export function createHttpsStream(certificateAuthority: string): HttpsStream {
  const secureContext = createSecureContext({
    ca:
      certificateAuthority === ''
        ? [...getCACertificates('default'), ...getCACertificates('system')]
        : certificateAuthority,
  })
  return (text, request = {}) => {
    const url = new URL(text)
    if (url.protocol !== 'https:')
      return Promise.reject(new ClientError('Unreachable', `${url.origin} is not https; tokens travel over TLS only`))
    const body = request.body?.toString() ?? ''
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(url, {
        agent: new Agent({ secureContext, ...(!isLoopback(url.hostname) && { proxyEnv: process.env }) }),
        ...(request.signal !== undefined && { signal: request.signal }),
        method: request.method ?? 'GET',
        headers: {
          accept: 'application/json',
          ...(request.body instanceof URLSearchParams && { 'content-type': 'application/x-www-form-urlencoded' }),
          ...(body !== '' && { 'content-length': String(Buffer.byteLength(body)) }),
          ...request.headers,
        },
      })
      outgoing.on('response', resolve)
      outgoing.on('error', (error) => {
        reject(explainNetworkError(url, error))
      })
      outgoing.end(body)
    })
  }
}

/** Names of Node and OpenSSL for a chain that ends at nobody we trust. */
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** The sentence for what went wrong between here and a server. */
export function explainNetworkError(url: URL, error: Error): ClientError {
  if (error instanceof ClientError) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const cause = { cause: error }
  if (UNTRUSTED.has(code))
    return new ClientError(
      'Untrusted',
      `the certificate of ${url.host} is signed by an authority that this machine does not trust (${code}); ask for that authority's certificate`,
      cause,
    )
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new ClientError(
      'Untrusted',
      `the certificate of ${url.host} is for another name (${code}); look at the address, or ask whoever runs it`,
      cause,
    )
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return new ClientError(
      'Untrusted',
      `the certificate of ${url.host} does not hold (${code}); ask whoever runs it, and look at the clock of this machine`,
      cause,
    )
  const why = error.name === 'TimeoutError' || error.name === 'AbortError' ? 'no answer in time' : code || error.message
  return new ClientError(
    'Unreachable',
    `${url.origin} cannot be reached (${why}); look at the network and try again`,
    cause,
  )
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}
