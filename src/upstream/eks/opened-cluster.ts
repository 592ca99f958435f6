import { FixedToken } from '../credential.ts'
import { buildEndpoint } from '../endpoint.ts'
import { Problems } from '../endpoint-error.ts'
import { UpstreamClient } from '../upstream-client.ts'
import { AwsError } from './aws-failure.ts'
import { askCallerIdentity, type CallerIdentity } from './caller-identity.ts'
import type { AccessEntry, EksCluster } from './eks-api.ts'
import type { EksOptions } from './eks-options.ts'
import { EksSession } from './eks-session.ts'

/** A cluster that a command works on for a few minutes, with one token. Closed by the caller. */
export class OpenedCluster {
  readonly options: EksOptions
  readonly #session: EksSession
  #token = ''
  #client: UpstreamClient | undefined

  constructor(options: EksOptions) {
    this.options = options
    this.#session = new EksSession(options)
  }

  /** Looks for credentials. @throws Error of one sentence */
  async findCredentials(): Promise<void> {
    await this.#session.ask((api) => api.credentials())
  }

  /** Null when the principal has none. @throws Error of one sentence */
  accessEntry(principalARN: string): Promise<AccessEntry | null> {
    return this.#session.ask((api) => api.describeAccessEntry(this.options.cluster, principalARN))
  }

  /** ARNs of all principals that have one. @throws Error of one sentence */
  accessEntries(): Promise<readonly string[]> {
    return this.#session.ask((api) => api.listAccessEntries(this.options.cluster))
  }

  /** @throws Error of one sentence */
  async describe(): Promise<EksCluster> {
    return this.#session.describe()
  }

  /**
   * Makes a token and asks STS what it says, as the cluster does.
   *
   * @param endpoint of STS, when not its own
   * @throws Error of one sentence
   */
  async identify({ tokenID }: EksCluster, endpoint = ''): Promise<CallerIdentity> {
    this.#token = (await this.#session.makeToken(false)).token
    try {
      return await askCallerIdentity(this.#token, tokenID, endpoint)
    } catch (error) {
      throw new AwsError(error, { ...this.options, permission: 'sts:GetCallerIdentity' })
    }
  }

  /** The API server, with a token that is not renewed. @throws EndpointError; Error of one sentence */
  async connect({ endpoint: server, certificateAuthority }: EksCluster): Promise<UpstreamClient> {
    if (this.#token === '') this.#token = (await this.#session.makeToken(false)).token
    const problems = new Problems('DescribeCluster')
    const parts = { server, certificateAuthority: { value: certificateAuthority } }
    const endpoint = await buildEndpoint({ ...parts, credential: new FixedToken(this.#token) }, problems)
    if (endpoint === undefined) throw problems.toError()
    this.#client ??= new UpstreamClient(endpoint)
    return this.#client
  }

  close(): void {
    this.#client?.close()
    this.#session.close()
  }
}
