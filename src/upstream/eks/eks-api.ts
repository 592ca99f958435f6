import {
  DescribeAccessEntryCommand,
  DescribeClusterCommand,
  EKSClient,
  ListClustersCommand,
  type Cluster,
} from '@aws-sdk/client-eks'
import { credentialProvider, type AwsCredentials } from './aws-credentials.ts'
import { AwsError } from './aws-failure.ts'
import type { AwsOptions } from './eks-options.ts'

/** Of one call, in milliseconds; the SDK tries twice more when AWS says that it may. */
const CONNECTION_TIMEOUT_MS = 3_000
const REQUEST_TIMEOUT_MS = 10_000
const MAX_ATTEMPTS = 3
/** A region may have at most so many clusters that are looked at. */
const MAX_CLUSTERS = 1_000

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
  /** By how much AWS's clock is ahead of ours in milliseconds, as the last answer showed. */
  readonly clockOffsetMs: number
  /** Lets connections go. */
  close(): void
}

/**
 * Prepares calls to EKS; nothing is sent and no credential is looked for yet.
 *
 * The SDK's own `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_EKS` and `AWS_ENDPOINT_URL_STS` name other endpoints, such as those of a VPC.
 */
export function openEksAPI(options: AwsOptions): EksAPI {
  const { region, fips } = options
  const client = new EKSClient({
    region,
    useFipsEndpoint: fips,
    credentials: credentialProvider(options),
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECTION_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
  })
  const call = async <T>(permission: string, cluster: string, send: () => Promise<T>): Promise<T> => {
    try {
      return await send()
    } catch (error) {
      throw new AwsError(error, { permission, cluster, ...options })
    }
  }
  return {
    credentials: () => call('', '', () => client.config.credentials()),
    describeCluster: (name) =>
      call('eks:DescribeCluster', name, async () => {
        const { cluster } = await client.send(new DescribeClusterCommand({ name }))
        return toCluster(name, cluster ?? {})
      }),
    listClusters: () =>
      call('eks:ListClusters', '', async () => {
        const names: string[] = []
        let nextToken: string | undefined
        do {
          const page = await client.send(new ListClustersCommand(nextToken === undefined ? {} : { nextToken }))
          names.push(...(page.clusters ?? []))
          nextToken = page.nextToken
        } while (nextToken !== undefined && names.length < MAX_CLUSTERS)
        return names.sort()
      }),
    describeAccessEntry: (clusterName, principalArn) =>
      call('eks:DescribeAccessEntry', clusterName, async () => {
        try {
          const { accessEntry } = await client.send(new DescribeAccessEntryCommand({ clusterName, principalArn }))
          return { username: accessEntry?.username ?? '', groups: accessEntry?.kubernetesGroups ?? [] }
        } catch (error) {
          if (error instanceof Error && error.name === 'ResourceNotFoundException') return null
          throw error
        }
      }),
    get clockOffsetMs() {
      return client.config.systemClockOffset
    },
    close: () => {
      client.destroy()
    },
  }
}

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
