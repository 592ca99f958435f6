import { badGateway } from '../kube/status.ts'
import type { Upstream } from './upstream.ts'

/** Most bytes of an answer that are read. */
const MAX_ANSWER_BYTES = 1024 * 1024
const JSON_HEADERS = ['Content-Type', 'application/json', 'Accept', 'application/json']

/**
 * Posts an object to an API server with the connector's own credential, and reads the object that it answers with.
 *
 * @throws StatusError when there is no such answer, or it is not a 201; the signal's reason.
 */
export async function postObject(
  upstream: Pick<Upstream, 'send'>,
  target: string,
  object: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  signal.throwIfAborted()
  const body = Buffer.from(JSON.stringify(object))
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let bytes = 0
  const exchange = upstream.send(
    { method: 'POST', target, headers: JSON_HEADERS, bodyLength: body.length },
    {
      head(statusCode) {
        if (statusCode === 201 || statusCode === 200) return
        exchange.abort()
        reject(badGateway('the API server refuses', { detail: `POST ${target} answered ${statusCode}` }))
      },
      data(chunk) {
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) {
          exchange.abort()
          reject(badGateway('the API server answers at too great length', { detail: `POST ${target}` }))
        } else chunks.push(Buffer.from(chunk))
        return true
      },
      end() {
        resolve(Buffer.concat(chunks))
      },
      error: reject,
    },
    () => undefined,
  )
  const abort = (): void => {
    exchange.abort()
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', abort)
  try {
    exchange.write(body)
    exchange.end()
    return parse(await promise, target)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function parse(body: Buffer, target: string): unknown {
  try {
    return JSON.parse(body.toString()) as unknown
  } catch (cause) {
    throw badGateway('the answer of the API server is not JSON', { detail: `POST ${target}`, cause })
  }
}
