import { request as httpsRequest, Agent, type RequestOptions } from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import { createSecureContext, getCACertificates } from 'node:tls'
import { ClientError } from './client-error.ts'

export interface FetchRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams
  readonly signal?: AbortSignal
}

/** A `fetch` for https only that follows no redirect. Gives back a response whose body is there already. */
export type HttpsFetch = (url: string, request?: FetchRequest) => Promise<Response>

/** For one request, from dialling to the last byte. */
const REQUEST_TIMEOUT_MS = 15_000
const MAX_BODY_BYTES = 1024 * 1024

/**
 * Makes a fetch that trusts exactly the given authority (PEM), or, when it is empty, the authorities of Node and of the
 * operating system. HTTPS_PROXY and NO_PROXY are honoured, but never on the way to this machine itself.
 *
 * The fetch throws ClientError: `Untrusted`, `Unreachable`, or `Unexpected` for a body above 1 MiB.
 */
export function createHttpsFetch(certificateAuthority: string): HttpsFetch {
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
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
    const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal])
    return exchange(url, request, {
      signal,
      agent: new Agent({ secureContext, ...(!isLoopback(url.hostname) && { proxyEnv: process.env }) }),
    })
  }
}

function exchange(url: URL, request: FetchRequest, options: RequestOptions): Promise<Response> {
  const body = request.body?.toString() ?? ''
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(error instanceof ClientError ? error : explain(url, error))
    }
    const headers = {
      accept: 'application/json',
      ...(request.body instanceof URLSearchParams && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...(body !== '' && { 'content-length': String(Buffer.byteLength(body)) }),
      ...request.headers,
    }
    const outgoing = httpsRequest(url, { ...options, method: request.method ?? 'GET', headers }, (incoming) => {
      const chunks: Buffer[] = []
      let bytes = 0
      incoming.on('error', fail)
      incoming.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
        else outgoing.destroy(new ClientError('Unexpected', `the answer of ${url.origin} is longer than 1 MiB`))
      })
      incoming.on('end', () => {
        resolve(toResponse(incoming.statusCode ?? 0, incoming.headers, Buffer.concat(chunks)))
      })
    })
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}

function toResponse(status: number, headers: IncomingHttpHeaders, body: Buffer): Response {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  )
  const bodiless = status === 204 || status === 205 || status === 304
  return new Response(bodiless ? null : new Uint8Array(body), { status, headers: pairs })
}

/** Names of Node and OpenSSL for a chain that ends at nobody we trust. */
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

function explain(url: URL, error: Error): ClientError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const cause = { cause: error }
  if (UNTRUSTED.has(code))
    return new ClientError(
      'Untrusted',
      `the certificate of ${url.host} is signed by an authority that this machine does not trust (${code}); ask for that authority's certificate`,
      cause,
    )
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID' || code === 'ERR_TLS_CERT_ALTNAME_INVALID')
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
