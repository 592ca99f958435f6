import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import type { PolicyStatus } from '../policy/policy-status.ts'

/** One thing that the connector looks at to say whether it is ready. */
export interface ReadinessCheck {
  readonly name: string
  readonly ready: boolean
  /**
   * What the connector has several of, such as `sockets`, so that it is of use without this one: of the checks that name the
   * same, one that holds is enough. All others must hold.
   */
  readonly oneOf?: string
  /** Why not; or, when ready, what an operator should look at all the same. Empty when all is well. */
  readonly reason: string
}

export interface OpsOptions {
  readonly checks: () => readonly ReadinessCheck[]
  /** The policy in force. */
  readonly policy: () => PolicyStatus
  /** Renders the Prometheus text format. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
}

const REQUEST_TIMEOUT_MS = 10_000

/**
 * Plain HTTP for operators: `/livez`, `/readyz` (`?verbose` lists the checks, as kube-apiserver does), `/policyz` (a
 * {@link PolicyStatus} as JSON) and `/metrics`. Meant for loopback or a cluster's inner network: it shows no subject, but
 * names of sockets and of policy files.
 * The caller listens and closes.
 */
export function createOpsServer(options: OpsOptions): Server {
  const server = createServer((request, response) => {
    answer(request, response, options).catch(() => {
      response.destroy()
    })
  })
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.headersTimeout = REQUEST_TIMEOUT_MS
  return server
}

async function answer(request: IncomingMessage, response: ServerResponse, options: OpsOptions): Promise<void> {
  const [path, query = ''] = (request.url ?? '').split('?', 2)
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(response, 405, 'only GET is answered here\n')
  } else if (path === '/livez') {
    send(response, 200, 'ok\n')
  } else if (path === '/readyz') {
    const checks = options.checks()
    const ready = areReady(checks)
    send(response, ready ? 200 : 503, ready && query !== 'verbose' ? 'ok\n' : renderChecks(checks, ready))
  } else if (path === '/policyz') {
    send(response, 200, `${JSON.stringify(options.policy(), null, 2)}\n`, 'application/json')
  } else if (path === '/metrics') {
    const { contentType, text } = await options.metrics()
    send(response, 200, text, contentType)
  } else {
    send(response, 404, 'try /livez, /readyz?verbose, /policyz or /metrics\n')
  }
}

/** A cluster or an issuer that is away must not keep people from the others, which another replica would reach no better. */
function areReady(checks: readonly ReadinessCheck[]): boolean {
  const choices = Map.groupBy(checks, ({ name, oneOf }) => (oneOf === undefined ? `check ${name}` : `one of ${oneOf}`))
  return [...choices.values()].every((choice) => choice.some(({ ready }) => ready))
}

function renderChecks(checks: readonly ReadinessCheck[], ready: boolean): string {
  const lines = checks.map(({ name, ready: holds, reason }) => {
    if (!holds) return `[-]${name} failed: ${reason}`
    return reason === '' ? `[+]${name} ok` : `[+]${name} ok, but ${reason}`
  })
  return `${lines.join('\n')}\nreadyz check ${ready ? 'passed' : 'failed'}\n`
}

function send(
  response: ServerResponse,
  statusCode: number,
  text: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(statusCode, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(text)
}
