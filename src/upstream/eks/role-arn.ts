import { isPartitionID } from './partition.ts'

/** An IAM role, as an ARN names it. */
export interface RoleARN {
  readonly partition: string
  /** Twelve digits. */
  readonly account: string
  /** `/`, or `/…/`. */
  readonly path: string
  readonly name: string
}

const ROLE = /^arn:([a-z-]+):iam::([0-9]{12}):role(\/(?:[\x21-\x7e]{1,510}\/)?)([A-Za-z0-9_+=,.@-]{1,64})$/
const ASSUMED_ROLE =
  /^arn:([a-z-]+):sts::([0-9]{12}):assumed-role\/([A-Za-z0-9_+=,.@-]{1,64})\/[A-Za-z0-9_+=,.@-]{2,64}$/

/** Null for a text that is not the ARN of an IAM role. */
export function parseRoleARN(text: string): RoleARN | null {
  const [, partition = '', account = '', path = '/', name = ''] = ROLE.exec(text) ?? []
  return isPartitionID(partition) ? { partition, account, path, name } : null
}

/** The role behind what STS calls a session of it, which does not tell the role's path. Null for other texts. */
export function roleOfSession(text: string): RoleARN | null {
  const [, partition = '', account = '', name = ''] = ASSUMED_ROLE.exec(text) ?? []
  return isPartitionID(partition) ? { partition, account, path: '/', name } : null
}

export function formatRoleARN({ partition, account, path, name }: RoleARN): string {
  return `arn:${partition}:iam::${account}:role${path}${name}`
}

/**
 * As a cluster sees whoever took on the role, and so as aws-auth has to have it.
 *
 * @see sigs.k8s.io/aws-iam-authenticator `pkg/arn/arn.go`, Canonicalize
 */
export function withoutPath(role: RoleARN): RoleARN {
  return { ...role, path: '/' }
}
