import {
  DescribeAccessEntryCommand,
  DescribeClusterCommand,
  EKSClient,
  ListAccessEntriesCommand,
  ListClustersCommand,
  type Cluster,
} from '@aws-sdk/client-eks'
import { credentialProvider } from './aws-credentials.ts'
import { AwsError } from './aws-failure.ts'
import type { AwsCredentials, AwsOptions } from './eks-options.ts'

/** How long AWS may take, in milliseconds. */
export interface AwsTimeouts {
  /** To connect. */
  readonly connectMs: number
  /** To begin an answer, and to go on with it; the SDK tries twice more. */
  readonly requestMs: number
  /** For all that one question takes, the search for credentials included. */
  readonly questionMs: number
}

export const DEFAULT_AWS_TIMEOUTS: AwsTimeouts = { connectMs: 3_000, requestMs: 10_000, questionMs: 30_000 }

const MAX_ATTEMPTS = 3
/** A region may have at most so many clusters that are looked at. */
const MAX_CLUSTERS = 1_000
/** A cluster has at most so many access entries, says EKS. */
const MAX_ACCESS_ENTRIES = 3_000

/** What EKS says of a cluster. */
export interface EksCluster {
  readonly name: string
  readonly arn: string
  /** Such as `ACTIVE` or `CREATING`. */
  readonly status: string
  /** Such as `1.35`; empty when not told. */
  readonly version: string
  /** `https://…`; empty while there is none. */
  readonly endpoint: string
  /** PEM; empty while there is none. */
  readonly certificateAuthority: string
  /** What tokens have to be made for: the name, or the id of a cluster on an Outpost. */
  readonly tokenID: string
  /** Whether the endpoint can be reached from outside its VPC. */
  readonly publicEndpoint: boolean
  /** How IAM principals are mapped. */
  readonly authenticationMode: 'CONFIG_MAP' | 'API_AND_CONFIG_MAP' | 'API'
}

/** What EKS says of an IAM principal on a cluster. */
export interface AccessEntry {
  readonly username: string
  readonly groups: readonly string[]
}

/** The calls to AWS that we make. Every method throws an AwsError. */
export interface EksAPI {
  /** Credentials that last for a while, found anew when they do not. */
  credentials(): Promise<AwsCredentials>
  describeCluster(name: string): Promise<EksCluster>
  /** Names, sorted. */
  listClusters(): Promise<readonly string[]>
  /** Null when the principal has none. */
  describeAccessEntry(cluster: string, principalARN: string): Promise<AccessEntry | null>
  /** ARNs of all principals that have one. */
  listAccessEntries(cluster: string): Promise<readonly string[]>
  /** By how much AWS's clock is ahead of ours in milliseconds, as the last answer showed. */
  readonly clockOffsetMs: number
  /** Lets connections go, and ends what is under way with an error. */
  close(): void
}

/**
 * Prepares calls to EKS; nothing is sent and no credential is looked for yet.
 *
 * The SDK's own `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_EKS` and `AWS_ENDPOINT_URL_STS` name other endpoints, such as those of a VPC.
 */
export function openEksAPI(options: AwsOptions, timeouts: AwsTimeouts = DEFAULT_AWS_TIMEOUTS): EksAPI {
  const { region, fips } = options
  const closed = new AbortController()
  const { signal } = closed
  const client = new EKSClient({
    region,
    useFipsEndpoint: fips,
    credentials: () => provider(),
    maxAttempts: MAX_ATTEMPTS,
    logger: SILENT,
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.requestMs,
      throwOnRequestTimeout: true,
      socketTimeout: timeouts.requestMs,
      logger: SILENT,
    },
  })
  const { requestHandler } = client.config
  const handle: typeof requestHandler.handle = (request, sending) =>
    requestHandler.handle(request, { ...sending, abortSignal: signal })
  const provider = credentialProvider(options, {
    logger: SILENT,
    signal,
    requestHandler: {
      metadata: { handlerProtocol: 'http/1.1' },
      handle,
      updateHttpClientConfig: () => undefined,
      httpHandlerConfigs: () => ({}),
    },
  })
  const credentials = async (): Promise<AwsCredentials> => {
    try {
      return await client.config.credentials()
    } catch (error) {
      throw new AwsError(error, { permission: '', cluster: '', ...options })
    }
  }
  const call = async <T>(permission: string, cluster: string, send: () => Promise<T>): Promise<T> => {
    // First, so that what goes wrong with them is not taken for the call's.
    await credentials()
    try {
      return await send()
    } catch (error) {
      throw new AwsError(error, { permission, cluster, ...options })
    }
  }
  const sending = { abortSignal: signal }
  return {
    credentials,
    describeCluster: (name) =>
      call('eks:DescribeCluster', name, async () => {
        const { cluster } = await client.send(new DescribeClusterCommand({ name }), sending)
        return toCluster(name, cluster ?? {})
      }),
    listClusters: () =>
      call('eks:ListClusters', '', async () => {
        const names: string[] = []
        let nextToken: string | undefined
        do {
          const command = new ListClustersCommand(nextToken === undefined ? {} : { nextToken })
          const page = await client.send(command, sending)
          names.push(...(page.clusters ?? []))
          nextToken = page.nextToken
        } while (nextToken !== undefined && names.length < MAX_CLUSTERS)
        return names.sort()
      }),
    describeAccessEntry: (clusterName, principalArn) =>
      call('eks:DescribeAccessEntry', clusterName, async () => {
        try {
          const command = new DescribeAccessEntryCommand({ clusterName, principalArn })
          const { accessEntry } = await client.send(command, sending)
          return { username: accessEntry?.username ?? '', groups: accessEntry?.kubernetesGroups ?? [] }
        } catch (error) {
          if (error instanceof Error && error.name === 'ResourceNotFoundException') return null
          throw error
        }
      }),
    listAccessEntries: (clusterName) =>
      call('eks:ListAccessEntries', clusterName, async () => {
        const principals: string[] = []
        let nextToken: string | undefined
        do {
          const command = new ListAccessEntriesCommand({ clusterName, ...(nextToken !== undefined && { nextToken }) })
          const page = await client.send(command, sending)
          principals.push(...(page.accessEntries ?? []))
          nextToken = page.nextToken
        } while (nextToken !== undefined && principals.length < MAX_ACCESS_ENTRIES)
        return principals
      }),
    get clockOffsetMs() {
      return client.config.systemClockOffset
    },
    close: () => {
      closed.abort()
      client.destroy()
    },
  }
}

const nothing = (): void => undefined
/** The SDK writes to the console when it is given nothing else. */
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

function toCluster(name: string, cluster: Cluster): EksCluster {
  return {
    name,
    arn: cluster.arn ?? '',
    status: cluster.status ?? '',
    version: cluster.version ?? '',
    endpoint: cluster.endpoint ?? '',
    certificateAuthority: Buffer.from(cluster.certificateAuthority?.data ?? '', 'base64').toString(),
    tokenID: cluster.id ?? name,
    publicEndpoint: cluster.resourcesVpcConfig?.endpointPublicAccess !== false,
    authenticationMode: cluster.accessConfig?.authenticationMode ?? 'CONFIG_MAP',
  }
}
