import { onTestFinished } from 'vitest'
import type { RawHeaders } from '../../src/kube/raw-headers.ts'
import { StatusError } from '../../src/kube/status.ts'
import { loadStaticServer } from '../../src/upstream/static-server.ts'
import { UpstreamClient } from '../../src/upstream/upstream-client.ts'
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from '../../src/upstream/upstream-limits.ts'
import type { Upstream, UpstreamRequest } from '../../src/upstream/upstream.ts'
import type { EndpointParts } from '../../src/upstream/endpoint.ts'

/** An upstream for a server of the test's own; it ends with the test. */
export async function openUpstream(
  { server, tlsServerName, ...parts }: Pick<EndpointParts, 'server'> & Partial<EndpointParts>,
  limits: Partial<UpstreamLimits> = {},
): Promise<UpstreamClient> {
  const endpoint = await loadStaticServer({
    server: { value: server },
    ...(tlsServerName !== undefined && { tlsServerName: { value: tlsServerName } }),
    token: { value: 'connector-token' },
    ...parts,
  })
  const upstream = new UpstreamClient(endpoint, { ...DEFAULT_UPSTREAM_LIMITS, ...limits })
  onTestFinished(() => {
    upstream.close()
  })
  return upstream
}

/** A whole answer. */
export interface Answer {
  readonly statusCode: number
  readonly headers: RawHeaders
  readonly body: Buffer
}

export const GET: UpstreamRequest = { method: 'GET', target: '/version', headers: [], bodyLength: 0 }

/** Sends a request, with its body in these pieces, and resolves when the answer is whole; rejects with the sink's error. */
export function answerOf(
  upstream: Pick<Upstream, 'send'>,
  request: Partial<UpstreamRequest> = {},
  pieces: readonly Buffer[] = [],
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const body: Buffer[] = []
  let statusCode = 0
  let headers: RawHeaders = []
  const exchange = upstream.send(
    { ...GET, ...request },
    {
      head(code, given) {
        statusCode = code
        headers = given
      },
      data(chunk) {
        body.push(Buffer.from(chunk))
        return true
      },
      end() {
        resolve({ statusCode, headers, body: Buffer.concat(body) })
      },
      error: reject,
    },
    () => undefined,
  )
  for (const piece of pieces) exchange.write(piece)
  exchange.end()
  return promise
}

/** What a request that must fail fails with. */
export async function failureOf(answer: Promise<unknown>): Promise<StatusError> {
  const outcome: unknown = await answer.then(
    () => 'an answer',
    (error: unknown) => error,
  )
  if (outcome instanceof StatusError) return outcome
  throw new Error(`expected a StatusError, got ${String(outcome)}`)
}
