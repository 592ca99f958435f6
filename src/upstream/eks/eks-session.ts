import type { ExpiringToken } from '../renewed-token.ts'
import { AwsError } from './aws-failure.ts'
import { makeCallerIdentityToken } from './caller-identity-token.ts'
import { type AwsTimeouts, DEFAULT_AWS_TIMEOUTS, openEksAPI, type EksAPI, type EksCluster } from './eks-api.ts'
import type { EksOptions } from './eks-options.ts'

/** AWS refuses what was signed five minutes too early, in milliseconds; a minute less, as its SDKs have it. */
const MAX_CLOCK_OFFSET_MS = 4 * 60_000
const MINUTE_MS = 60_000

/**
 * One cluster as AWS sees it, and who we are to it. Credentials that turn out to be bad are found anew, and a question that
 * takes too long is given up with all that was opened for it. Closed by the caller, which ends what is under way.
 */
export class EksSession {
  readonly #options: EksOptions
  readonly #timeouts: AwsTimeouts
  #api: EksAPI
  #isStale = false
  #closed = false
  #clusterID: string
  #clockOffsetMs = 0

  constructor(options: EksOptions, timeouts: AwsTimeouts = DEFAULT_AWS_TIMEOUTS) {
    this.#options = options
    this.#timeouts = timeouts
    this.#api = openEksAPI(options, timeouts)
    this.#clusterID = options.cluster
  }

  /** Does something that needs credentials. @throws Error of one sentence */
  async ask<T>(question: (api: EksAPI) => Promise<T>): Promise<T> {
    if (this.#closed) throw new Error('the connector asks AWS no more')
    if (this.#isStale) {
      this.#isStale = false
      this.#api.close()
      this.#api = openEksAPI(this.#options, this.#timeouts)
    }
    const api = this.#api
    const { promise: tooLate, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const { questionMs } = this.#timeouts
      reject(
        new Error(
          `AWS did not answer within ${questionMs / 1_000} s in ${this.#options.region}; it is asked again later`,
        ),
      )
      if (api === this.#api) this.#isStale = true
      api.close()
    }, this.#timeouts.questionMs).unref()
    try {
      return await Promise.race([question(api), tooLate])
    } catch (error) {
      // The SDK remembers credentials until the end that they tell of, and some tell of none.
      if (error instanceof AwsError && error.isAboutCredentials && api === this.#api) this.#isStale = true
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** @throws Error of one sentence: what AWS did not like, or that there is nothing to connect to */
  async describe(): Promise<EksCluster> {
    const { cluster: name, region } = this.#options
    const cluster = await this.ask(async (api) => {
      const found = await api.describeCluster(name)
      this.#clockOffsetMs = api.clockOffsetMs
      return found
    })
    this.#clusterID = cluster.tokenID
    if (cluster.endpoint !== '' && cluster.certificateAuthority !== '') return cluster
    const why =
      cluster.status === 'CREATING' ? 'it is still being created' : `its status is ${cluster.status || 'unknown'}`
    throw new Error(`cluster ${JSON.stringify(name)} in ${region} has no API server endpoint: ${why}`)
  }

  /**
   * A token for the cluster. `refused` drops the credentials that are remembered and finds them anew.
   *
   * @throws Error of one sentence
   */
  async makeToken(refused: boolean): Promise<ExpiringToken> {
    if (refused) this.#isStale = true
    const credentials = await this.ask((api) => api.credentials())
    const now = Date.now()
    const { expiration } = credentials
    if (expiration !== undefined && expiration.getTime() <= now) {
      this.#isStale = true
      throw new Error(`the AWS credentials ended at ${expiration.toISOString()}; renew them`)
    }
    if (Math.abs(this.#clockOffsetMs) >= MAX_CLOCK_OFFSET_MS) throw new Error(describeOffset(this.#clockOffsetMs))
    return makeCallerIdentityToken({ ...this.#options, clusterID: this.#clusterID }, credentials, now)
  }

  close(): void {
    this.#closed = true
    this.#api.close()
  }
}

function describeOffset(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / MINUTE_MS)
  const direction = offsetMs > 0 ? 'behind' : 'ahead of'
  return `the clock of this machine is ${minutes} minutes ${direction} that of AWS; set it (NTP), since AWS refuses what is signed with it`
}
