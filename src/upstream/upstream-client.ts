import { StatusError } from '../kube/status.ts'
import { ConnectionPool } from './connection-pool.ts'
import type { Endpoint } from './endpoint.ts'
import { Exchange } from './exchange.ts'
import { probeReadiness } from './probe.ts'
import { renderRequestHead } from './request-head.ts'
import { UpgradeAttempt } from './upgrade-attempt.ts'
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from './upstream-limits.ts'
import type { ResponseSink, UpgradeAnswer, Upstream, UpstreamExchange, UpstreamRequest } from './upstream.ts'

/** An upstream that speaks HTTP/1.1 over TLS to one endpoint, which it closes when it is closed. */
export class UpstreamClient implements Upstream {
  readonly #endpoint: Endpoint
  readonly #limits: UpstreamLimits
  readonly #pool: ConnectionPool

  constructor(endpoint: Endpoint, limits: UpstreamLimits = DEFAULT_UPSTREAM_LIMITS) {
    this.#endpoint = endpoint
    this.#limits = limits
    this.#pool = new ConnectionPool(endpoint, limits)
  }

  get openConnections(): number {
    return this.#pool.size
  }

  get problem(): string {
    return [this.lapse, this.#endpoint.credential.problem].filter((each) => each !== '').join('; ')
  }

  /** Why the authorities or the client certificate are not in force now; empty while they are. */
  get lapse(): string {
    return this.#endpoint.lapseAt(Date.now())
  }

  send(request: UpstreamRequest, sink: ResponseSink, drain: () => void): UpstreamExchange {
    const head = renderRequestHead(request, this.#endpoint, this.#endpoint.credential.authorization())
    const timeoutMs = request.responseHeadTimeoutMs ?? this.#limits.responseHeadTimeoutMs
    const exchange = new Exchange(request, head, sink, drain, timeoutMs, this.#pool.failures)
    this.#pool.carry(exchange)
    return exchange
  }

  async upgrade(request: UpstreamRequest, protocol: string, signal: AbortSignal): Promise<UpgradeAnswer> {
    signal.throwIfAborted()
    const { credential } = this.#endpoint
    const head = renderRequestHead(request, this.#endpoint, credential.authorization(), protocol)
    const timeoutMs = request.responseHeadTimeoutMs ?? this.#limits.responseHeadTimeoutMs
    const attempt = new UpgradeAttempt((onRead) => this.#pool.dialTunnel(onRead), head, this.#pool.failures)
    const answer = await attempt.run(timeoutMs, signal)
    if (answer.statusCode === 401) credential.rejected()
    return answer
  }

  async probe(signal: AbortSignal): Promise<void> {
    try {
      await probeReadiness(this, this.#endpoint.credential, this.#pool.failures, signal)
    } catch (error) {
      const { lapse } = this
      if (!(error instanceof StatusError) || lapse === '') throw error
      throw new StatusError(error.status, { detail: `${lapse}; ${error.detail}`, cause: error })
    }
  }

  /** Opens no connection any more that is kept: what is under way ends as it would. For an endpoint that has moved. */
  retire(): void {
    this.#pool.retire()
  }

  close(): void {
    this.#pool.close()
    this.#endpoint.credential.close()
  }
}
