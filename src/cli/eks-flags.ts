import { Option, type Command } from 'commander'
import { ClientError } from '../client/client-error.ts'
import type { AwsOptions, EksOptions } from '../upstream/eks/eks-options.ts'
import { FIPS_REGIONS, hasFIPS, partitionOf } from '../upstream/eks/partition.ts'
import { parseRoleARN } from '../upstream/eks/role-arn.ts'

/** Flags of every command that asks AWS. */
export interface AwsFlags {
  readonly profile?: string
  readonly assumeRole?: string
  readonly externalId?: string
  readonly fips?: true
}

/** Flags that name one cluster. */
export interface ClusterFlags extends AwsFlags {
  readonly cluster?: string
  readonly region?: string
}

export function withAws(command: Command): Command {
  return command
    .option('--profile <PROFILE>', 'profile of the AWS credentials, when not what the environment says')
    .option('--assume-role <ARN>', 'role to take on with them')
    .option('--external-id <ID>', "what that role's trust policy asks for")
    .option('--fips', 'use endpoints with FIPS 140 validated cryptography')
}

export function withCluster(command: Command): Command {
  return withAws(command.option('--cluster <CLUSTER>', 'name of the EKS cluster').addOption(regionOption()))
}

const regionOption = (): Option =>
  new Option('--region <REGION>', 'its region, when not $AWS_REGION or $AWS_DEFAULT_REGION')

/**
 * How AWS is reached in a region.
 *
 * @throws ClientError `BadArgument`
 */
export function toAwsOptions(flags: AwsFlags, region: string): AwsOptions {
  if (partitionOf(region) === null) {
    throw new ClientError('BadArgument', `${JSON.stringify(region)} is no AWS region; it looks like eu-west-1`)
  }
  const { profile, assumeRole, externalId, fips = false } = flags
  if (fips && !hasFIPS(region)) {
    throw new ClientError('BadArgument', `--fips: ${region} has no such endpoints; ${FIPS_REGIONS.join(', ')} have`)
  }
  if (assumeRole !== undefined) requireRole(assumeRole, '--assume-role')
  else if (externalId !== undefined) throw new ClientError('BadArgument', '--external-id belongs to --assume-role')
  return {
    region,
    fips,
    credentials: profile === undefined ? { kind: 'ambient' } : { kind: 'profile', name: profile },
    assumeRole:
      assumeRole === undefined ? undefined : { roleARN: assumeRole, externalID: externalId, sessionName: 'postern' },
  }
}

/**
 * The cluster that is named.
 *
 * @throws ClientError `BadArgument`
 */
export function toEksOptions(flags: ClusterFlags): EksOptions {
  const { cluster, region = ambientRegion() } = flags
  if (cluster === undefined) throw new ClientError('BadArgument', 'name the cluster with --cluster')
  if (!/^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$/.test(cluster)) {
    throw new ClientError('BadArgument', `${JSON.stringify(cluster)} is no name of an EKS cluster`)
  }
  if (region === '') throw new ClientError('BadArgument', 'name the region with --region, or set AWS_REGION')
  return { cluster, ...toAwsOptions(flags, region) }
}

/** What the environment says; empty when it says nothing. */
export function ambientRegion(): string {
  return process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? ''
}

/** @throws ClientError `BadArgument` */
function requireRole(text: string, flag: string): void {
  if (parseRoleARN(text) === null) {
    const expected = 'the ARN of an IAM role, such as arn:aws:iam::123456789012:role/postern'
    throw new ClientError('BadArgument', `${flag} ${JSON.stringify(text)} is not ${expected}`)
  }
}
