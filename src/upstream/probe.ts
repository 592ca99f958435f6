import type { Credential } from './credential.ts'
import type { UpstreamFailures } from './upstream-failures.ts'
import type { Upstream } from './upstream.ts'

/** How long an API server may take to say that it is ready, in milliseconds. */
const PROBE_TIMEOUT_MS = 5_000

/** How much of the answer is read, in bytes. */
const MAX_PROBE_BYTES = 64 * 1024

/**
 * Resolves when an API server says that it is ready, and knows who we are as far as that shows: it answers 401 to
 * a token that it does not accept even where it would answer anybody.
 *
 * @throws StatusError that says why not; the signal's reason
 */
export async function probeReadiness(
  upstream: Pick<Upstream, 'send'>,
  credential: Credential,
  failures: UpstreamFailures,
  signal: AbortSignal,
): Promise<void> {
  const readyz = await statusOf(upstream, '/readyz', signal)
  // Some clusters keep /readyz from all but a few.
  const answered = readyz === 403 || readyz === 404 ? await statusOf(upstream, '/version', signal) : readyz
  if (answered >= 200 && answered < 300) return
  const detail = `GET /readyz answered ${readyz}${credential.problem === '' ? '' : `; ${credential.problem}`}`
  if (answered === 401) {
    const hint = credential.refusalHint === undefined ? '' : `; ${credential.refusalHint}`
    throw failures.unready(
      'the API server of this socket does not accept the credential of the connector',
      detail + hint,
    )
  }
  if (answered === 403) throw failures.unready('the credential of the connector has no rights at all', detail)
  throw failures.unready('the API server of this socket is not ready', detail)
}

/** Status code of the answer to a GET, once it is whole. */
async function statusOf(upstream: Pick<Upstream, 'send'>, target: string, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let statusCode = 0
  let bytes = 0
  const exchange = upstream.send(
    { method: 'GET', target, headers: [], bodyLength: 0, responseHeadTimeoutMs: PROBE_TIMEOUT_MS },
    {
      head(code) {
        statusCode = code
      },
      data(chunk) {
        bytes += chunk.length
        if (bytes > MAX_PROBE_BYTES) {
          exchange.abort()
          resolve(statusCode)
        }
        return true
      },
      end() {
        resolve(statusCode)
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
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
