import { stringify } from 'yaml'
import { ClientError } from '../client/client-error.ts'
import { openEksAPI, type EksCluster } from '../upstream/eks/eks-api.ts'
import type { AwsOptions } from '../upstream/eks/eks-options.ts'
import { ambientRegion, toAwsOptions, type AwsFlags } from './eks-flags.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { printable, printError, printJSON, printTable } from './terminal.ts'

export interface EksDiscoverFlags extends AwsFlags {
  readonly region: readonly string[]
  readonly output: 'text' | 'json' | 'yaml'
}

/** How many clusters are asked about at a time. */
const CONCURRENCY = 4
const MAX_SOCKET_NAME = 63

/** A cluster that was found; what DescribeCluster says is null when it may not be asked. */
interface Found {
  readonly name: string
  readonly aws: AwsOptions
  readonly cluster: EksCluster | null
}

/**
 * Lists the clusters of regions and prints socket blocks to paste. What cannot be asked is told on stderr, and does not keep
 * the rest from being printed.
 */
export async function runEksDiscover(flags: EksDiscoverFlags): Promise<ExitCode> {
  const regions = flags.region.length > 0 ? flags.region : [ambientRegion()].filter((region) => region !== '')
  if (regions.length === 0) throw new ClientError('BadArgument', 'name a region with --region, or set AWS_REGION')
  const problems: string[] = []
  const found: Found[] = []
  for (const region of new Set(regions)) found.push(...(await clustersOf(toAwsOptions(flags, region), problems)))
  print(found, flags.output)
  for (const problem of new Set(problems)) printError(problem)
  return problems.length === 0 ? EXIT.ok : EXIT.failure
}

async function clustersOf(aws: AwsOptions, problems: string[]): Promise<Found[]> {
  const api = openEksAPI(aws)
  const attempt = async <T>(work: Promise<T>): Promise<T | null> => {
    try {
      return await work
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
      return null
    }
  }
  try {
    const names = [...((await attempt(api.listClusters())) ?? [])]
    const found: Found[] = []
    while (names.length > 0) {
      const some = names.splice(0, CONCURRENCY)
      const asked = some.map(async (name) => ({ name, aws, cluster: await attempt(api.describeCluster(name)) }))
      found.push(...(await Promise.all(asked)))
    }
    return found
  } finally {
    api.close()
  }
}

function print(found: readonly Found[], output: EksDiscoverFlags['output']): void {
  const sockets = socketBlocks(found)
  if (output === 'json') {
    const clusters = found.map(({ name, aws, cluster }) => ({
      name,
      region: aws.region,
      arn: cluster?.arn ?? '',
      status: cluster?.status ?? '',
      version: cluster?.version ?? '',
      endpoint: cluster?.endpoint ?? '',
      endpointAccess: access(cluster),
      authenticationMode: cluster?.authenticationMode ?? '',
    }))
    printJSON({ clusters, sockets })
    return
  }
  const yaml = stringify({ sockets }).replaceAll(/(?!\n)\p{C}/gu, printable)
  if (output === 'yaml') {
    process.stdout.write(yaml)
    return
  }
  printTable(
    ['NAME', 'REGION', 'STATUS', 'VERSION', 'ACCESS', 'AUTHENTICATION'],
    found.map(({ name, aws, cluster }) => [
      name,
      aws.region,
      cluster?.status ?? 'unknown',
      cluster?.version ?? '',
      access(cluster),
      cluster?.authenticationMode ?? '',
    ]),
  )
  if (found.length > 0) process.stdout.write(`\n${yaml}`)
}

function access(cluster: EksCluster | null): string {
  return cluster === null ? '' : cluster.publicEndpoint ? 'public' : 'private'
}

function socketBlocks(found: readonly Found[]): readonly object[] {
  const names = new Map<string, number>()
  for (const { name } of found) names.set(socketName(name), (names.get(socketName(name)) ?? 0) + 1)
  const taken = new Set<string>()
  return found.map(({ name, aws: { region, fips, credentials, assumeRole } }) => {
    const wanted = names.get(socketName(name)) === 1 ? socketName(name) : socketName(`${name}-${region}`)
    let unique = wanted
    for (let nth = 2; taken.has(unique); nth++) unique = socketName(`${wanted}-${nth}`)
    taken.add(unique)
    return {
      name: unique,
      upstream: {
        eks: {
          cluster: name,
          region,
          ...(credentials.kind === 'profile' && { credentials: { profile: { name: credentials.name } } }),
          ...(assumeRole !== undefined && {
            assumeRole: {
              roleARN: assumeRole.roleARN,
              ...(assumeRole.externalID !== undefined && { externalID: assumeRole.externalID }),
            },
          }),
          ...(fips && { fips }),
        },
      },
    }
  })
}

/** A DNS label that is as near to the name as can be; what is too long loses its middle. */
function socketName(name: string): string {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  if (label.length <= MAX_SOCKET_NAME) return label === '' ? 'cluster' : label
  return `${label.slice(0, 31)}-${label.slice(-31)}`.replace(/-{2,}/, '-')
}
