import { StatusError } from '../../kube/status.ts'
import { callCluster } from './cluster-call.ts'
import type { EksCluster } from './eks-api.ts'
import { OpenedCluster } from './opened-cluster.ts'
import type { EksOptions } from './eks-options.ts'
import { formatRoleARN, parseRoleARN, roleOfSession } from './role-arn.ts'

/** One thing that has to be well before a socket works. */
export interface CheckStep {
  readonly name: 'credentials' | 'cluster' | 'identity' | 'api-server'
  readonly ok: boolean
  /** What was found, or what is wrong and what to do; one line. */
  readonly detail: string
}

/**
 * Goes the way that a request of the connector goes, and stops where it ends.
 *
 * @param stsEndpoint in place of AWS's own; empty for that
 */
export async function checkCluster(options: EksOptions, stsEndpoint: string): Promise<readonly CheckStep[]> {
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
      const found = await opened.identify(cluster, stsEndpoint)
      return [found, found.arn]
    })
    await step('api-server', async () => [undefined, await askWhoWeAre(opened, cluster, arn)])
  } catch {
    // The last step tells.
  } finally {
    opened.close()
  }
  return steps
}

async function askWhoWeAre(opened: OpenedCluster, cluster: EksCluster, arn: string): Promise<string> {
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
  if (answer.statusCode === 401) throw new Error(await explainUnauthorized(opened, cluster, arn))
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
async function explainUnauthorized(opened: OpenedCluster, cluster: EksCluster, arn: string): Promise<string> {
  const { cluster: name, region, assumeRole } = opened.options
  const seen = roleOfSession(arn)
  // STS does not tell the path of a role; the document may.
  const told = parseRoleARN(assumeRole?.roleARN ?? '')
  const role = told?.name === seen?.name ? (told ?? seen) : seen
  const principal = role === null ? arn : formatRoleARN(role)
  const flags = `--role ${principal} --cluster ${name} --region ${region}`
  const mapped = `postern eks aws-auth ${flags}`
  if (role === null)
    return `the cluster maps nothing to ${arn}, which is no role; map it in mapUsers of aws-auth, or by an access entry`
  if (cluster.authenticationMode === 'CONFIG_MAP') {
    return `aws-auth has no entry that matches ${principal} (its ARN there must have no path); see '${mapped}'`
  }
  let entry
  try {
    entry = await opened.accessEntry(principal)
  } catch (error) {
    const where = cluster.authenticationMode === 'API' ? 'an access entry' : 'an access entry or an entry of aws-auth'
    return `the cluster maps nothing to ${principal}: ${where} is missing (which of them could not be looked up: ${describe(error)}); see '${mapped}'`
  }
  if (entry !== null) {
    return `there is an access entry for ${principal}, but the cluster does not accept it yet; it may take a minute, and the role must not have been made anew since`
  }
  const also = cluster.authenticationMode === 'API' ? '' : ', and aws-auth has no entry that matches it'
  const path = role.path === '/' ? '' : ', with its path'
  return `there is no access entry for ${principal}${path}${also}; see '${mapped}'`
}

function describe(error: unknown): string {
  if (error instanceof StatusError && error.detail !== '') return error.detail
  return error instanceof Error ? error.message : String(error)
}
