/** A part of AWS with regions, accounts and domain names of its own. */
export interface Partition {
  /** As it stands in ARNs. */
  readonly id: string
  /** What the names of its services end in. */
  readonly domain: string
}

const PARTITIONS: readonly (Partition & { readonly regions: RegExp })[] = [
  { id: 'aws-us-gov', domain: 'amazonaws.com', regions: /^us-gov-[a-z]+-[0-9]+$/ },
  { id: 'aws-iso', domain: 'c2s.ic.gov', regions: /^us-iso-[a-z]+-[0-9]+$/ },
  { id: 'aws-iso-b', domain: 'sc2s.sgov.gov', regions: /^us-isob-[a-z]+-[0-9]+$/ },
  { id: 'aws-iso-e', domain: 'cloud.adc-e.uk', regions: /^eu-isoe-[a-z]+-[0-9]+$/ },
  { id: 'aws-iso-f', domain: 'csp.hci.ic.gov', regions: /^us-isof-[a-z]+-[0-9]+$/ },
  { id: 'aws-cn', domain: 'amazonaws.com.cn', regions: /^cn-[a-z]+-[0-9]+$/ },
  { id: 'aws-eusc', domain: 'amazonaws.eu', regions: /^eusc-[a-z]+-[a-z]+-[0-9]+$/ },
  { id: 'aws', domain: 'amazonaws.com', regions: /^(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]+$/ },
]

/**
 * Regions where both EKS and STS have endpoints with FIPS 140 validated cryptography. The SDK makes up names for any region.
 *
 * @see AWS General Reference, "Amazon EKS endpoints and quotas" and "AWS STS endpoints and quotas"; botocore `endpoints.json`
 */
export const FIPS_REGIONS: readonly string[] = [
  'us-east-1',
  'us-east-2',
  'us-west-1',
  'us-west-2',
  'us-gov-east-1',
  'us-gov-west-1',
]

/**
 * The partition that a region belongs to; null for a text that names no region.
 *
 * @see AWS SDKs, `partitions.json`
 */
export function partitionOf(region: string): Partition | null {
  const found = PARTITIONS.find(({ regions }) => regions.test(region))
  return found === undefined ? null : { id: found.id, domain: found.domain }
}

/** Whether the text is the id of a partition, as in `arn:aws-cn:…`. */
export function isPartitionID(text: string): boolean {
  return PARTITIONS.some(({ id }) => id === text)
}

/** Whether a cluster of the region can be reached by FIPS endpoints alone. */
export function hasFIPS(region: string): boolean {
  return FIPS_REGIONS.includes(region)
}

/**
 * Host name of the regional STS, which is what an EKS cluster of that region accepts tokens of.
 *
 * @throws RangeError for a text that names no region, and with `fips` for a region without such endpoints
 */
export function stsHost(region: string, fips: boolean): string {
  const partition = partitionOf(region)
  if (partition === null) throw new RangeError(`${JSON.stringify(region)} is no AWS region`)
  if (fips && !hasFIPS(region)) throw new RangeError(`${region} has no FIPS endpoint of STS`)
  // In GovCloud the regional name is that of FIPS 140.
  return `${fips && partition.id === 'aws' ? 'sts-fips' : 'sts'}.${region}.${partition.domain}`
}
