import { StatusError } from '../../kube/status.ts'
import { callCluster } from './cluster-call.ts'
import type { EksCluster } from './eks-api.ts'
import { OpenedCluster } from './opened-cluster.ts'
import type { EksOptions } from './eks-options.ts'
import {
  findRoleARN,
  formatRoleARN,
  type RoleARN,
  roleARNCommand,
  roleOfSession,
  type SeenRole,
  withoutPath,
} from './role-arn.ts'

/** One thing that has to be well before a socket works. */
export interface CheckStep {
  readonly name: 'credentials' | 'cluster' | 'identity' | 'api-server'
  readonly ok: boolean
  /** What was found, or what is wrong and what to do; one line. */
  readonly detail: string
}

/** What the environment tells besides the options. */
export interface CheckSurroundings {
  /** Of STS in place of AWS's own; empty for that. */
  readonly stsEndpoint: string
  /** Of the role that a service account takes on (`AWS_ROLE_ARN`); empty when there is none. */
  readonly roleARN: string
}

/** Goes the way that a request of the connector goes, and stops where it ends. */
export async function checkCluster(
  options: EksOptions,
  surroundings: CheckSurroundings,
): Promise<readonly CheckStep[]> {
  const steps: CheckStep[] = []
  const opened = new OpenedCluster(options)
  const step = async <T>(name: CheckStep['name'], work: () => Promise<readonly [T, string]>): Promise<T> => {
    try {
      const [found, detail] = await work()
      steps.push({ name, ok: true, detail })
      return found
    } catch (error) {
      steps.push({ name, ok: false, detail: describe(error) })
      throw error
    }
  }
  try {
    await step('credentials', async () => {
      await opened.findCredentials()
      return [undefined, 'found']
    })
    const cluster = await step('cluster', async () => {
      const found = await opened.describe()
      const { version, endpoint, authenticationMode, publicEndpoint } = found
      const reach = publicEndpoint ? 'public' : 'private'
      return [found, `Kubernetes ${version} at ${endpoint} (${reach}), authentication mode ${authenticationMode}`]
    })
    const { arn } = await step('identity', async () => {
      const found = await opened.identify(cluster, surroundings.stsEndpoint)
      return [found, found.arn]
    })
    await step('api-server', async () => [undefined, await askWhoWeAre(opened, cluster, arn, surroundings)])
  } catch {
    // The last step tells.
  } finally {
    opened.close()
  }
  return steps
}

async function askWhoWeAre(
  opened: OpenedCluster,
  cluster: EksCluster,
  arn: string,
  surroundings: CheckSurroundings,
): Promise<string> {
  const client = await opened.connect(cluster)
  let answer
  try {
    answer = await callCluster(client, {
      method: 'POST',
      target: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    })
  } catch (error) {
    if (cluster.publicEndpoint) throw error
    throw new Error(`${describe(error)}; the endpoint is private: the connector has to run in the VPC or reach it`, {
      cause: error,
    })
  }
  if (answer.statusCode === 401) throw new Error(await explainUnauthorized(opened, cluster, arn, surroundings))
  if (answer.statusCode === 201) {
    const { status } = answer.body as {
      readonly status?: { readonly userInfo?: { readonly username?: string; readonly groups?: readonly string[] } }
    }
    const { username = '', groups = [] } = status?.userInfo ?? {}
    return `user ${username}, groups ${groups.join(', ') || 'none'}`
  }
  if (answer.statusCode === 403 || answer.statusCode === 404) return 'the cluster knows this identity'
  throw new Error(`the API server answered ${answer.statusCode}`)
}

/** Which mapping is missing. */
async function explainUnauthorized(
  opened: OpenedCluster,
  { authenticationMode: mode }: EksCluster,
  arn: string,
  { roleARN }: CheckSurroundings,
): Promise<string> {
  const { cluster: name, region, assumeRole } = opened.options
  const seen = roleOfSession(arn)
  if (seen === null)
    return `the cluster maps nothing to ${arn}, which is no role; map it in mapUsers of aws-auth, or by an access entry`
  // STS does not tell the path of a role; the document and the environment may.
  const told = findRoleARN(seen, [assumeRole?.roleARN ?? '', roleARN])
  const withoutItsPath = formatRoleARN(withoutPath(seen))
  const principal = told === null ? withoutItsPath : formatRoleARN(told)
  const hint = (role: string): string =>
    `see 'postern eks aws-auth --role ${role} --cluster ${name} --region ${region}'`
  if (mode === 'CONFIG_MAP') {
    return `aws-auth has no entry that matches ${principal}, which has to be ${withoutItsPath} there, without a path; ${hint(principal)}`
  }
  const also = mode === 'API' ? '' : ', and aws-auth has no entry that matches it'
  const unknown = `STS does not tell its path, which '${roleARNCommand(seen)}' does`
  let entry
  try {
    entry = await findAccessEntry(opened, seen, told)
  } catch (error) {
    const where = mode === 'API' ? 'an access entry' : 'an access entry or an entry of aws-auth'
    const path = told === null ? `; ${unknown}` : ''
    return `the cluster maps nothing to ${principal}: ${where} is missing (which of them could not be looked up: ${describe(error)})${path}; ${hint(told === null ? arn : principal)}`
  }
  if (entry !== null) {
    return `there is an access entry for ${entry}, but the cluster does not accept it yet; it may take a minute, and the role must not have been made anew since`
  }
  if (told === null) return `there is no access entry for the role ${seen.name}${also}; ${unknown}; ${hint(arn)}`
  const path = told.path === '/' ? '' : ', with its path'
  return `there is no access entry for ${principal}${path}${also}; ${hint(principal)}`
}

/** ARN of the principal whose entry is that of the role; null when there is none. @throws Error of one sentence when that cannot be known */
async function findAccessEntry(opened: OpenedCluster, seen: SeenRole, told: RoleARN | null): Promise<string | null> {
  if (told !== null) {
    const principal = formatRoleARN(told)
    return (await opened.accessEntry(principal)) === null ? null : principal
  }
  try {
    const found = findRoleARN(seen, await opened.accessEntries())
    return found === null ? null : formatRoleARN(found)
  } catch (error) {
    // Of the one ARN that can be guessed, an entry is proof; that there is none is not.
    const guessed = formatRoleARN(withoutPath(seen))
    if ((await opened.accessEntry(guessed).catch(() => null)) !== null) return guessed
    throw error
  }
}

function describe(error: unknown): string {
  if (error instanceof StatusError && error.detail !== '') return error.detail
  return error instanceof Error ? error.message : String(error)
}
