import { setTimeout as sleep } from 'node:timers/promises'
import { buildEndpoint } from '../endpoint.ts'
import { Problems } from '../endpoint-error.ts'
import { RenewedToken } from '../renewed-token.ts'
import { UpstreamClient } from '../upstream-client.ts'
import { UpstreamFailures } from '../upstream-failures.ts'
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from '../upstream-limits.ts'
import type { ResponseSink, UpgradeAnswer, Upstream, UpstreamExchange, UpstreamRequest } from '../upstream.ts'
import { ClusterLookup } from './cluster-lookup.ts'
import type { EksCluster } from './eks-api.ts'
import type { EksOptions } from './eks-options.ts'
import { EksSession } from './eks-session.ts'

/** How long a start waits for AWS, in milliseconds; then it goes on, and the upstream is not ready. */
const START_TIMEOUT_MS = 10_000

const NOT_READY = 'the connector has no way to the API server of this socket at present'

/**
 * An EKS cluster: found through AWS, and reached with tokens made of AWS credentials.
 *
 * While AWS cannot be asked, the last answer and the last token stay in force, the token until it ends. Without them
 * nothing is sent, and `probe` says why. When the cluster has moved, new requests go to the new place, and those under way
 * end where they are.
 */
export class EksUpstream implements Upstream {
  readonly #limits: UpstreamLimits
  readonly #session: EksSession
  readonly #lookup: ClusterLookup
  readonly #token: RenewedToken
  readonly #failures: UpstreamFailures
  readonly #retired = new Set<UpstreamClient>()
  /** Where `#client` leads. */
  #place = ''
  #client: UpstreamClient | undefined
  #closed = false

  private constructor(options: EksOptions, limits: UpstreamLimits, now: () => number) {
    const { cluster, region } = options
    this.#limits = limits
    this.#failures = new UpstreamFailures(`of EKS cluster ${cluster} in ${region}`)
    this.#session = new EksSession(options)
    this.#lookup = new ClusterLookup(
      () => this.#session.describe(),
      async (found) => {
        await this.#lead(found)
        // Not before: AWS has taken the credentials now, shown its clock, and told what the token has to name.
        if (this.#token.authorization() === undefined) await this.#token.renew()
      },
      now,
    )
    this.#token = new RenewedToken({
      make: (refused) => this.#session.makeToken(refused),
      refusalHint: `see 'postern eks check --cluster ${cluster} --region ${region}'`,
      now,
    })
  }

  /**
   * Asks AWS, for a while; what is not answered by then is asked on. Closed by the caller. Never rejects.
   *
   * @param now milliseconds since the epoch
   */
  static async open(
    options: EksOptions,
    limits: UpstreamLimits = DEFAULT_UPSTREAM_LIMITS,
    now: () => number = Date.now,
  ): Promise<EksUpstream> {
    const upstream = new EksUpstream(options, limits, now)
    const waited = new AbortController()
    const { signal } = waited
    await Promise.race([
      upstream.#lookup.look(),
      sleep(START_TIMEOUT_MS, undefined, { signal, ref: false }).catch(() => undefined),
    ])
    waited.abort()
    return upstream
  }

  get openConnections(): number {
    let open = this.#client?.openConnections ?? 0
    for (const client of this.#retired) open += client.openConnections
    return open
  }

  send(request: UpstreamRequest, sink: ResponseSink, drain: () => void): UpstreamExchange {
    const client = this.#usable()
    return client === undefined ? this.#refuse(sink) : client.send(request, sink, drain)
  }

  async upgrade(request: UpstreamRequest, protocol: string, signal: AbortSignal): Promise<UpgradeAnswer> {
    const client = this.#usable()
    if (client === undefined) throw this.#unready()
    return client.upgrade(request, protocol, signal)
  }

  async probe(signal: AbortSignal): Promise<void> {
    try {
      const client = this.#usable()
      if (client === undefined) throw this.#unready()
      await client.probe(signal)
    } catch (error) {
      if (!signal.aborted) this.#lookup.suspect()
      throw error
    }
  }

  close(): void {
    this.#closed = true
    this.#lookup.close()
    this.#token.close()
    this.#client?.close()
    for (const client of this.#retired) client.close()
    this.#session.close()
  }

  /** Undefined unless there is a place to send to and a token to send. */
  #usable(): UpstreamClient | undefined {
    return this.#token.authorization() === undefined ? undefined : this.#client
  }

  /** Makes new requests go to where the cluster is. */
  async #lead({ endpoint: server, certificateAuthority }: EksCluster): Promise<void> {
    const place = `${server}\n${certificateAuthority}`
    if (place === this.#place) return
    const problems = new Problems('DescribeCluster')
    const parts = { server, certificateAuthority: { value: certificateAuthority }, credential: this.#token }
    const endpoint = await buildEndpoint(parts, problems)
    if (endpoint === undefined) throw problems.toError()
    if (this.#closed) return
    for (const client of this.#retired) if (client.openConnections === 0) this.#retired.delete(client)
    if (this.#client !== undefined) {
      this.#client.retire()
      this.#retired.add(this.#client)
    }
    this.#client = new UpstreamClient(endpoint, this.#limits)
    this.#place = place
  }

  #unready(): Error {
    if (this.#closed) return this.#failures.closed()
    return this.#failures.unready(NOT_READY, (this.#client === undefined ? this.#lookup : this.#token).problem)
  }

  #refuse(sink: ResponseSink): UpstreamExchange {
    const error = this.#unready()
    let over = false
    setImmediate(() => {
      if (!over) sink.error(error)
      over = true
    })
    return {
      write: () => true,
      end: () => undefined,
      resume: () => undefined,
      abort: () => {
        over = true
      },
    }
  }
}
