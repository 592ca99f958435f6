import type { Upstream } from '../upstream.ts'

/** The most that an answer may have where nothing else is said, in bytes. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

/** A request with a body of JSON. */
export interface ClusterCall {
  readonly method: 'GET' | 'POST' | 'PATCH'
  readonly target: string
  readonly body?: unknown
  /** Default `application/json`. */
  readonly contentType?: string
  /** Default 4 MiB. */
  readonly maxAnswerBytes?: number
}

/** An answer that was read whole. */
export interface ClusterAnswer {
  readonly statusCode: number
  /** Undefined when it is not JSON. */
  readonly body: unknown
  /** `message` of a `metav1.Status`; empty when there is none. */
  readonly message: string
}

/**
 * Sends one request and reads the answer.
 *
 * @throws StatusError for the network, Error for an answer that is too long; the signal's reason
 */
export async function callCluster(
  upstream: Pick<Upstream, 'send'>,
  call: ClusterCall,
  signal?: AbortSignal,
): Promise<ClusterAnswer> {
  signal?.throwIfAborted()
  const { method, target, contentType = 'application/json', maxAnswerBytes = MAX_ANSWER_BYTES } = call
  const content = call.body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(call.body))
  const headers = ['Accept', 'application/json', ...(content.length === 0 ? [] : ['Content-Type', contentType])]
  const { promise, resolve, reject } = Promise.withResolvers<ClusterAnswer>()
  const chunks: Buffer[] = []
  let bytes = 0
  let statusCode = 0
  const exchange = upstream.send(
    { method, target, headers, bodyLength: content.length },
    {
      head(code) {
        statusCode = code
      },
      data(chunk) {
        bytes += chunk.length
        if (bytes <= maxAnswerBytes) chunks.push(Buffer.from(chunk))
        else {
          exchange.abort()
          reject(new Error(`the answer to ${method} ${target} is too long`))
        }
        return true
      },
      end() {
        resolve({ statusCode, ...read(Buffer.concat(chunks).toString()) })
      },
      error: reject,
    },
    () => undefined,
  )
  const abort = (): void => {
    exchange.abort()
    reject(signal?.reason as Error)
  }
  signal?.addEventListener('abort', abort)
  try {
    if (content.length > 0) exchange.write(content)
    exchange.end()
    return await promise
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

function read(text: string): Pick<ClusterAnswer, 'body' | 'message'> {
  try {
    const body: unknown = JSON.parse(text)
    const message: unknown = typeof body === 'object' && body !== null && 'message' in body ? body.message : ''
    return { body, message: typeof message === 'string' ? message : '' }
  } catch {
    return { body: undefined, message: '' }
  }
}
