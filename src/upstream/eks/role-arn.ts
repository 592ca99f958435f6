import { isPartitionID } from './partition.ts'

/** An IAM role as STS tells of it. Within an account no two roles have one name, whatever their paths. */
export interface SeenRole {
  readonly partition: string
  /** Twelve digits. */
  readonly account: string
  readonly name: string
}

/** An IAM role, as an ARN names it. */
export interface RoleARN extends SeenRole {
  /** `/`, or `/…/`. */
  readonly path: string
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
export function roleOfSession(text: string): SeenRole | null {
  const [, partition = '', account = '', name = ''] = ASSUMED_ROLE.exec(text) ?? []
  return isPartitionID(partition) ? { partition, account, name } : null
}

/** The first of the texts that is an ARN of this role; null when none is. */
export function findRoleARN(role: SeenRole, texts: readonly string[]): RoleARN | null {
  const isSame = (other: RoleARN | null): boolean =>
    other?.name === role.name && other.account === role.account && other.partition === role.partition
  return texts.map(parseRoleARN).find(isSame) ?? null
}

export function formatRoleARN({ partition, account, path, name }: RoleARN): string {
  return `arn:${partition}:iam::${account}:role${path}${name}`
}

/**
 * As a cluster sees whoever took on the role, and so as aws-auth has to have it.
 *
 * @see sigs.k8s.io/aws-iam-authenticator `pkg/arn/arn.go`, Canonicalize
 */
export function withoutPath({ partition, account, name }: SeenRole): RoleARN {
  return { partition, account, path: '/', name }
}

/** A command line that prints the ARN of a role with its path. */
export function roleARNCommand({ name }: SeenRole): string {
  return `aws iam get-role --role-name ${name} --query Role.Arn --output text`
}
