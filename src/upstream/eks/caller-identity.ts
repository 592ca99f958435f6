import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { CLUSTER_HEADER, signedURL } from './caller-identity-token.ts'

/** How long STS may take, in milliseconds, and what of its answer is read, in bytes. */
const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 64 * 1024

/** Who a token makes us. */
export interface CallerIdentity {
  /** Twelve digits. */
  readonly account: string
  /** `arn:aws:iam::…:user/…`, `arn:aws:sts::…:assumed-role/ROLE/SESSION` and others. */
  readonly arn: string
}

/**
 * Sends the request that a token is, as the cluster will, and tells what STS says.
 *
 * @param endpoint in place of the one that is signed; empty for that one
 * @throws Error whose name is AWS's code, or Node's for the network. Its message may quote what was signed.
 */
export async function askCallerIdentity(token: string, clusterID: string, endpoint: string): Promise<CallerIdentity> {
  const signed = signedURL(token)
  const url = new URL(signed.pathname + signed.search, endpoint === '' ? signed : endpoint)
  const send = url.protocol === 'http:' ? requestHttp : requestHttps
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly statusCode: number; readonly text: string }>()
  const request = send(
    url,
    {
      headers: { Host: signed.host, Accept: 'application/json', [CLUSTER_HEADER]: clusterID },
      servername: url.hostname,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    },
    (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        if (text.length > MAX_ANSWER_BYTES) response.destroy(new Error('the answer of STS is too long'))
      })
      response.on('error', reject)
      response.on('end', () => {
        resolve({ statusCode: response.statusCode ?? 0, text })
      })
    },
  )
  request.on('error', reject).end()
  const { statusCode, text } = await promise
  const answer = parse(text)
  if (statusCode === 200) {
    const { Account: account = '', Arn: arn = '' } = answer.GetCallerIdentityResponse?.GetCallerIdentityResult ?? {}
    return { account, arn }
  }
  const error = new Error(answer.Error?.Message ?? '')
  error.name = answer.Error?.Code ?? `HTTP${statusCode}`
  throw error
}

interface StsAnswer {
  readonly GetCallerIdentityResponse?: {
    readonly GetCallerIdentityResult?: { readonly Account?: string; readonly Arn?: string }
  }
  readonly Error?: { readonly Code?: string; readonly Message?: string }
}

function parse(text: string): StsAnswer {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
