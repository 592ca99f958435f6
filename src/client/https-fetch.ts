import type { IncomingHttpHeaders } from 'node:http'
import { ClientError } from './client-error.ts'
import { createHttpsStream, explainNetworkError, type FetchRequest } from './https-stream.ts'

/** A `fetch` for https only that follows no redirect. Gives back a response whose body is there already. */
export type HttpsFetch = (url: string, request?: FetchRequest, maxBodyBytes?: number) => Promise<Response>

/** For one request, from dialling to the last byte. */
const REQUEST_TIMEOUT_MS = 15_000
const MAX_BODY_BYTES = 1024 * 1024

/**
 * Makes a fetch that trusts exactly the given authority (PEM), or, when it is empty, the authorities of Node and of the
 * operating system. HTTPS_PROXY and NO_PROXY are honoured, but never on the way to this machine itself.
 *
 * The fetch throws ClientError: `Untrusted`, `Unreachable`, or `Unexpected` for a body above the limit, which is 1 MiB
 * unless told.
 */
export function createHttpsFetch(certificateAuthority: string): HttpsFetch {
  const open = createHttpsStream(certificateAuthority)
  return async (url, request = {}, maxBodyBytes = MAX_BODY_BYTES) => {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
    const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal])
    const incoming = await open(url, { ...request, signal })
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of incoming as AsyncIterable<Buffer>) {
        bytes += chunk.length
        if (bytes > maxBodyBytes) {
          const limit = `${maxBodyBytes / (1024 * 1024)} MiB`
          throw new ClientError('Unexpected', `the answer of ${new URL(url).origin} is longer than ${limit}`)
        }
        chunks.push(chunk)
      }
    } catch (error) {
      throw error instanceof Error ? explainNetworkError(new URL(url), signal.aborted ? abortOf(signal) : error) : error
    }
    return toResponse(incoming.statusCode ?? 0, incoming.headers, Buffer.concat(chunks))
  }
}

function abortOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}

function toResponse(status: number, headers: IncomingHttpHeaders, body: Buffer): Response {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  )
  const bodiless = status === 204 || status === 205 || status === 304
  return new Response(bodiless ? null : new Uint8Array(body), { status, headers: pairs })
}
