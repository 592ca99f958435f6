import { setTimeout as sleep } from 'node:timers/promises'
import type { Credential } from '../credential.ts'
import { buildEndpoint } from '../endpoint.ts'
import { Problems } from '../endpoint-error.ts'
import type { UpstreamEvents } from '../reloaded-upstream.ts'
import { RenewedToken } from '../renewed-token.ts'
import { Succession } from '../succession.ts'
import { UpstreamClient } from '../upstream-client.ts'
import { UpstreamFailures } from '../upstream-failures.ts'
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from '../upstream-limits.ts'
import type { ResponseSink, UpgradeAnswer, Upstream, UpstreamExchange, UpstreamRequest } from '../upstream.ts'
import { ClusterLookup } from './cluster-lookup.ts'
import { type AwsTimeouts, DEFAULT_AWS_TIMEOUTS, type EksCluster } from './eks-api.ts'
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
  readonly #events: UpstreamEvents
  readonly #clients = new Succession()
  /** Where the current client leads. */
  #place = ''
  /** What was told last; empty for nothing. */
  #told = ''
  #lookedUp = false
  #closed = false

  private constructor(
    options: EksOptions,
    events: UpstreamEvents,
    limits: UpstreamLimits,
    now: () => number,
    timeouts: AwsTimeouts,
  ) {
    this.#events = events
    const { cluster, region } = options
    this.#limits = limits
    this.#failures = new UpstreamFailures(`of EKS cluster ${cluster} in ${region}`)
    this.#session = new EksSession(options, timeouts)
    this.#lookup = new ClusterLookup(
      () => this.#session.describe(),
      async (found) => {
        await this.#lead(found)
        // Not before: AWS has taken the credentials now, shown its clock, and told what the token has to name.
        if (this.#token.authorization() === undefined) await this.#token.renew()
      },
      now,
      () => {
        this.#lookedUp = true
        this.#tell()
      },
    )
    this.#token = new RenewedToken({
      make: (refused) => this.#session.makeToken(refused),
      refusalHint: `see 'postern eks check --cluster ${cluster} --region ${region}'`,
      now,
      onDone: () => {
        if (this.#lookedUp) this.#tell()
      },
    })
  }

  /**
   * Asks AWS, for a while; what is not answered by then is asked on. Closed by the caller. Never rejects.
   *
   * @param now milliseconds since the epoch
   */
  static async open(
    options: EksOptions,
    events: UpstreamEvents,
    limits: UpstreamLimits = DEFAULT_UPSTREAM_LIMITS,
    now: () => number = Date.now,
    timeouts: AwsTimeouts = DEFAULT_AWS_TIMEOUTS,
  ): Promise<EksUpstream> {
    const upstream = new EksUpstream(options, events, limits, now, timeouts)
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
    return this.#clients.openConnections
  }

  /** Why the last answers of AWS stay in force, which could not be had anew. */
  get problem(): string {
    return this.#lookup.problem === '' ? this.#token.problem : this.#lookup.problem
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
    this.#clients.close()
    this.#session.close()
  }

  /** Undefined unless there is a place to send to and a token to send. */
  #usable(): UpstreamClient | undefined {
    return this.#token.authorization() === undefined ? undefined : (this.#clients.current ?? undefined)
  }

  /** Makes new requests go to where the cluster is. */
  async #lead({ endpoint: server, certificateAuthority }: EksCluster): Promise<void> {
    const place = `${server}\n${certificateAuthority}`
    if (place === this.#place) return
    const problems = new Problems('DescribeCluster')
    const parts = { server, certificateAuthority: { value: certificateAuthority }, credential: shared(this.#token) }
    const endpoint = await buildEndpoint(parts, problems)
    if (endpoint === undefined) throw problems.toError()
    if (this.#closed) return
    const moved = this.#place !== ''
    this.#clients.follow(new UpstreamClient(endpoint, this.#limits))
    this.#place = place
    if (moved) this.#events.onReloaded()
  }

  /** Tells what changed, once there is something in force; what keeps it from being so is `probe`'s to say. */
  #tell(): void {
    const { problem } = this
    if (this.#usable() === undefined || problem === this.#told) return
    this.#told = problem
    if (problem === '') this.#events.onMended()
    else this.#events.onRefused(problem)
  }

  #unready(): Error {
    if (this.#closed) return this.#failures.closed()
    return this.#failures.unready(NOT_READY, (this.#clients.current === null ? this.#lookup : this.#token).problem)
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

/** A credential of several endpoints, which closing one of them leaves open. */
function shared(credential: Credential): Credential {
  return {
    get problem() {
      return credential.problem
    },
    ...(credential.refusalHint !== undefined && { refusalHint: credential.refusalHint }),
    authorization: () => credential.authorization(),
    rejected: () => {
      credential.rejected()
    },
    close: () => undefined,
  }
}
