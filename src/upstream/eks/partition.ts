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

/** Partitions whose STS has names of its own for FIPS 140; in GovCloud and China the regional name is the only one. */
const WITH_FIPS_STS: ReadonlySet<string> = new Set(['aws'])

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

/**
 * Host name of the regional STS, which is what an EKS cluster of that region accepts tokens of.
 *
 * @throws RangeError for a text that names no region
 */
export function stsHost(region: string, fips: boolean): string {
  const partition = partitionOf(region)
  if (partition === null) throw new RangeError(`${JSON.stringify(region)} is no AWS region`)
  return `${fips && WITH_FIPS_STS.has(partition.id) ? 'sts-fips' : 'sts'}.${region}.${partition.domain}`
}
