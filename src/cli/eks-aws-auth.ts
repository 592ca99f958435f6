import { readFile } from 'node:fs/promises'
import { ClientError } from '../client/client-error.ts'
import { accessEntryCommands, renderObjects, rightsOf, roleMapping, type Access } from '../upstream/eks/access.ts'
import { applyRights, readAwsAuth, writeAwsAuth } from '../upstream/eks/aws-auth-cluster.ts'
import { editAwsAuth } from '../upstream/eks/aws-auth-file.ts'
import { OpenedCluster } from '../upstream/eks/opened-cluster.ts'
import {
  findRoleARN,
  formatRoleARN,
  parseRoleARN,
  roleOfSession,
  withoutPath,
  type RoleARN,
  type SeenRole,
} from '../upstream/eks/role-arn.ts'
import { addRoleMapping, rolesWithPath, type RoleMapping } from '../upstream/eks/role-mapping.ts'
import { confirm } from './confirm.ts'
import { toEksOptions, type ClusterFlags } from './eks-flags.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { diffLines } from './line-diff.ts'
import { printLine, printNotice } from './terminal.ts'

export interface EksAwsAuthFlags extends ClusterFlags {
  readonly role: string
  readonly file?: string
  readonly as?: Access['kind']
  readonly group?: string
  readonly impersonateGroup: readonly string[]
  readonly apply?: true
  readonly yes?: true
}

/**
 * Shows how a role is let into a cluster. Without `--as` the three ways; with it, and a file or a cluster, the edit of the
 * aws-auth that is there.
 */
export async function runEksAwsAuth(flags: EksAwsAuthFlags): Promise<ExitCode> {
  const role = toRole(flags)
  const { cluster, region, file } = flags
  if (flags.as === undefined) {
    if (flags.apply === true) throw new ClientError('BadArgument', '--apply needs to know what the role shall be: --as')
    printChoices(role, { name: cluster ?? 'CLUSTER', region: region ?? 'REGION' }, flags)
    return EXIT.ok
  }
  const access = toAccess(flags.as, flags)
  const mapping = roleMapping(role, access)
  if (file !== undefined) {
    if (cluster !== undefined) throw new ClientError('BadArgument', 'name either a file or a cluster')
    if (flags.apply === true) throw new ClientError('BadArgument', '--apply is for a cluster, not for a file')
    await printEditedFile(file, role, mapping)
    return EXIT.ok
  }
  if (cluster === undefined) throw new ClientError('BadArgument', 'name the aws-auth to edit with --cluster or --file')
  return editCluster(role, access, mapping, flags)
}

/** A session does not tell the path of its role, which other texts may. */
type Role = RoleARN | SeenRole

function toRole({ role: text, assumeRole = '' }: EksAwsAuthFlags): Role {
  const seen = roleOfSession(text)
  if (seen !== null) return findRoleARN(seen, [assumeRole, process.env['AWS_ROLE_ARN'] ?? '']) ?? seen
  const role = parseRoleARN(text)
  if (role !== null) return role
  const expected = 'the ARN of an IAM role, such as arn:aws:iam::123456789012:role/postern'
  throw new ClientError('BadArgument', `--role ${JSON.stringify(text)} is not ${expected}`)
}

function toAccess(kind: Access['kind'], { group, impersonateGroup }: EksAwsAuthFlags): Access {
  if (kind === 'group') {
    if (group === undefined || group === '') throw new ClientError('BadArgument', '--as group needs --group NAME')
    return { kind, group }
  }
  return kind === 'least' ? { kind, groups: impersonateGroup } : { kind }
}

function printChoices(
  role: Role,
  cluster: { readonly name: string; readonly region: string },
  flags: EksAwsAuthFlags,
): void {
  const choices: readonly (readonly [Access, string])[] = [
    [{ kind: 'admin' }, '--as admin: system:masters, which no RBAC holds back; the policy of Postern is the only wall'],
    [{ kind: 'group', group: flags.group ?? 'GROUP' }, '--as group: a group that the cluster gives rights to already'],
    [
      { kind: 'least', groups: flags.impersonateGroup },
      '--as least: a group of its own that may only act as people, for sockets with forwardAs: subject',
    ],
  ]
  noteRole(role)
  for (const [access, title] of choices) {
    printLine(`# ${title}`)
    process.stdout.write(addRoleMapping('', roleMapping(role, access)))
    const objects = rightsOf(access)
    if (objects.length > 0) process.stdout.write(`---\n${renderObjects(objects)}`)
    printLine('# or, in place of aws-auth, by access entries:')
    for (const line of entryCommands(role, access, cluster)) printLine(`#   ${line}`)
    printLine('')
  }
}

async function printEditedFile(path: string, role: Role, mapping: RoleMapping): Promise<void> {
  const before = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new ClientError(
      'BadArgument',
      `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    )
  })
  noteRole(role)
  const after = editAwsAuth(before, (mapRoles) => {
    notePaths(mapRoles)
    return addRoleMapping(mapRoles, mapping)
  })
  if (after === before) printNotice('The role is mapped so already.')
  process.stdout.write(after)
}

async function editCluster(
  role: Role,
  access: Access,
  mapping: RoleMapping,
  flags: EksAwsAuthFlags,
): Promise<ExitCode> {
  const options = toEksOptions(flags)
  const opened = new OpenedCluster(options)
  try {
    const cluster = await opened.describe()
    const commands = entryCommands(role, access, { name: options.cluster, region: options.region })
    if (cluster.authenticationMode === 'API') {
      if (!('path' in role)) noteRole(role)
      printNotice(
        `Cluster ${options.cluster} reads no aws-auth (authentication mode API). Its access entries are made by:`,
      )
      for (const line of commands) printLine(line)
      return flags.apply === true ? EXIT.failure : EXIT.ok
    }
    const client = await opened.connect(cluster)
    const present = await readAwsAuth(client)
    noteRole(role)
    notePaths(present.mapRoles)
    const mapRoles = addRoleMapping(present.mapRoles, mapping)
    const objects = rightsOf(access)
    if (objects.length > 0) process.stdout.write(`${renderObjects(objects)}---\n`)
    printLine(`# kube-system/aws-auth, mapRoles${present.resourceVersion === '' ? ', which is made new' : ''}`)
    const diff = diffLines(present.mapRoles, mapRoles)
    for (const line of diff) printLine(line)
    if (diff.length === 0) printLine('# the role is mapped so already')
    if (flags.apply !== true) {
      printLine('# or, in place of aws-auth, by an access entry:')
      for (const line of commands) printLine(`#   ${line}`)
      return EXIT.ok
    }
    if (!(await agreed(flags, options.cluster))) {
      printNotice('Nothing was changed.')
      return EXIT.failure
    }
    await applyRights(client, objects)
    if (diff.length > 0) await writeAwsAuth(client, present, mapRoles)
    printNotice(
      `Applied to ${options.cluster}. See to it with: postern eks check --cluster ${options.cluster} --region ${options.region}`,
    )
    return EXIT.ok
  } finally {
    opened.close()
  }
}

async function agreed({ yes }: EksAwsAuthFlags, cluster: string): Promise<boolean> {
  if (yes === true) return true
  if (process.stdin.isTTY) return confirm(`Change ${cluster} so?`)
  printNotice('There is no terminal to ask on; --yes applies without asking.')
  return false
}

/** Access entries know fewer groups; then there is a comment in their place. */
function entryCommands(
  role: Role,
  access: Access,
  cluster: { readonly name: string; readonly region: string },
): readonly string[] {
  try {
    return accessEntryCommands(role, access, cluster)
  } catch (error) {
    if (error instanceof RangeError) return [error.message]
    throw error
  }
}

function noteRole(role: Role): void {
  if (!('path' in role)) {
    printNotice(
      `Note: a session does not tell the path of its role ${role.name}. aws-auth needs none; access entries do, and the commands for them ask IAM for it.`,
    )
  } else if (role.path !== '/') {
    printNotice(
      `Note: aws-auth gets ${formatRoleARN(withoutPath(role))}: an entry with the path ${role.path} would match nobody.`,
    )
  }
}

function notePaths(mapRoles: string): void {
  for (const { written, meant } of rolesWithPath(mapRoles)) {
    printNotice(
      `Note: the entry of ${written} matches nobody, since it has a path; ${meant} would. It is left as it is.`,
    )
  }
}
