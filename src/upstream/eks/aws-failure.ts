import { ContainerCredentialsError } from './container-credentials.ts'
import type { AwsOptions } from './eks-options.ts'

/** What was asked of AWS when it failed. */
export interface AwsCall extends AwsOptions {
  /** IAM action, such as `eks:DescribeCluster`; empty while credentials were looked for. */
  readonly permission: string
  /** Empty when none was named. */
  readonly cluster: string
}

/**
 * AWS, or the way to it, failed. The message is one sentence that may stand in a log. There is no cause: an SDK error
 * holds the whole answer, and STS quotes what was signed.
 */
export class AwsError extends Error {
  override readonly name = 'AwsError'
  /** Whether other credentials may help. */
  readonly isAboutCredentials: boolean

  constructor(error: unknown, call: AwsCall) {
    super(explainAwsError(error, call))
    this.isAboutCredentials = ABOUT_CREDENTIALS.has(codeOf(error))
  }
}

const PRINCIPAL = /arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:[A-Za-z0-9+=,.@_/-]{1,512}/
/** What an error begins with whose message is ours. */
const OUR_PHRASES = /^(?:cannot read |AWS_CONTAINER_CREDENTIALS_FULL_URI is )/
const NETWORK_CODES: ReadonlySet<string> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EPIPE',
  'TimeoutError',
])
const ABOUT_CREDENTIALS: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'InvalidAccessKeyId',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'IncompleteSignature',
  'CredentialsProviderError',
  'ProviderError',
  'TokenProviderError',
])
const THROTTLED: ReadonlySet<string> = new Set([
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'SlowDown',
])

/**
 * Why AWS, or the way to it, failed: one sentence, what to do behind a semicolon.
 *
 * AWS's own words are not repeated, since they may quote what was signed; of them only the ARN of the caller is.
 */
function explainAwsError(error: unknown, call: AwsCall): string {
  const { region, cluster, permission, assumeRole } = call
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : ''
  const where = cluster === '' ? region : `cluster ${quoted(cluster)} in ${region}`
  const principal = PRINCIPAL.exec(text)?.[0] ?? 'the IAM identity of the connector'
  if (error instanceof ContainerCredentialsError) return explainContainer(error.code)
  const ofToken = explainWebIdentity(code, text)
  if (ofToken !== '') return ofToken
  if (THROTTLED.has(code))
    return `AWS throttles ${permission === '' ? 'STS' : permission} in ${region}; it is asked again later`
  if (NETWORK_CODES.has(code)) {
    return `AWS cannot be reached in ${region} (${code}); see to DNS, routes or VPC endpoints, and to the name of the region`
  }
  switch (code) {
    case 'AccessDenied':
    case 'AccessDeniedException':
      if (/sts:AssumeRole/i.test(text) || permission === '') return deniedRole(call, principal)
      return `${principal} lacks the IAM permission ${permission} on ${where}; allow it in an IAM policy of that identity`
    case 'ResourceNotFoundException':
      return `there is no cluster ${quoted(cluster)} in ${region} in this account; see 'postern eks discover --region ${region}'`
    case 'ExpiredToken':
    case 'ExpiredTokenException':
      return `the AWS session token has expired; renew the credentials (${sourceOf(call)})`
    case 'InvalidClientTokenId':
    case 'UnrecognizedClientException':
    case 'InvalidAccessKeyId':
      return `AWS does not know the access key, or the session token does not belong to it; see to the credentials (${sourceOf(call)})`
    case 'InvalidSignatureException':
    case 'SignatureDoesNotMatch':
    case 'IncompleteSignature':
      if (/scoped to/i.test(text))
        return `AWS took the request for one of another region; ${region} is not where this endpoint is`
      if (/expired|not yet current/i.test(text)) {
        return 'the clock of this machine is more than five minutes off; set it (NTP), since AWS refuses what is signed with it'
      }
      return `the secret access key does not belong to the access key; see to the credentials (${sourceOf(call)})`
    case 'RequestExpired':
    case 'RequestTimeTooSkewed':
    case 'RequestInTheFuture':
      return 'the clock of this machine is more than five minutes off; set it (NTP), since AWS refuses what is signed with it'
    case 'EndpointError':
      return `there is no endpoint of AWS for ${region} as it is asked for; an AWS_ENDPOINT_URL of one's own goes without fips`
    case 'OptInRequired':
    case 'RegionDisabledException':
      return `the region ${region} is not enabled for this account; enable it, or use another one`
    case 'CredentialsProviderError':
    case 'ProviderError':
    case 'TokenProviderError':
      return `no AWS credentials were found (${sourceOf(call)}); see docs/eks.md for where they may be`
    case 'AbortError':
      return 'AWS was not asked to the end; it is asked again later'
    default: {
      const role = permission === '' && assumeRole !== undefined ? ` while assuming ${assumeRole.roleARN}` : ''
      const { path, code: errno } = error as NodeJS.ErrnoException
      if (path !== undefined && errno !== undefined) return `cannot read ${path} (${errno})`
      const named = error instanceof Error && OUR_PHRASES.test(error.message) ? error.message : `AWS answered ${code}`
      return `${named}${role} (${permission === '' ? sourceOf(call) : `${permission}, ${region}`})`
    }
  }
}

/** Of IRSA and its like; empty for what is not about a web identity. */
function explainWebIdentity(code: string, text: string): string {
  if (/AssumeRoleWithWebIdentity/.test(text) && code.startsWith('AccessDenied')) {
    return (
      'AWS does not let this service account take on its role (sts:AssumeRoleWithWebIdentity); the trust policy of the role has ' +
      'to name the OIDC provider of the cluster that the connector runs in, and system:serviceaccount:NAMESPACE:NAME as its :sub'
    )
  }
  if (code === 'ExpiredTokenException' && text.startsWith('Token expired')) {
    return 'the web identity token has expired; whatever writes AWS_WEB_IDENTITY_TOKEN_FILE has to renew it'
  }
  if (code !== 'InvalidIdentityToken' && code !== 'InvalidIdentityTokenException') return ''
  if (/No OpenIDConnect provider/i.test(text)) {
    return (
      'the account of the role has no IAM OIDC provider for the cluster that the connector runs in; create it: ' +
      "'eksctl utils associate-iam-oidc-provider --cluster NAME --approve'"
    )
  }
  return `AWS does not accept the web identity token (${code}); its audience has to be one of the IAM OIDC provider, as a rule sts.amazonaws.com`
}

function explainContainer(code: string): string {
  if (NETWORK_CODES.has(code)) {
    return `the service with the container's credentials cannot be reached (${code}); for EKS Pod Identity, see to its agent on this node`
  }
  const refused = `the service with the container's credentials refuses (${code})`
  switch (code) {
    case 'AccessDeniedException':
      return (
        `${refused}; for EKS Pod Identity, the role has to trust pods.eks.amazonaws.com with sts:AssumeRole and sts:TagSession, ` +
        'and the node may need eks-auth:AssumeRoleForPodIdentity'
      )
    case 'ResourceNotFoundException':
      return `${refused}; for EKS Pod Identity, associate the service account with its role: 'aws eks create-pod-identity-association'`
    default:
      return `${refused}; for EKS Pod Identity, see to the association of the service account and to the agent on this node`
  }
}

function deniedRole({ assumeRole, credentials }: AwsCall, principal: string): string {
  const role =
    assumeRole?.roleARN ??
    (credentials.kind === 'profile' ? `the role of profile ${quoted(credentials.name)}` : 'the role')
  const external =
    assumeRole?.externalID === undefined
      ? ', which may ask for an externalID'
      : ', whose sts:ExternalId has to be the externalID'
  return `${principal} may not assume ${role}; allow sts:AssumeRole in its IAM policy and in the trust policy of the role${external}`
}

/** Where the credentials come from, in a few words. */
function sourceOf({ credentials, assumeRole }: AwsCall): string {
  const from = {
    ambient: 'from the environment, shared files, web identity, Pod Identity or instance role',
    profile: `from profile ${quoted('name' in credentials ? credentials.name : '')}`,
    keys: 'from the keys of the document',
  }[credentials.kind]
  return assumeRole === undefined ? from : `${from}, then role ${assumeRole.roleARN}`
}

/** A short word for the error; never text of AWS's. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'an error without a name'
  const { code } = error as NodeJS.ErrnoException
  // Without credentials, what the instance metadata service could not be reached for does not matter.
  if (error.name === 'ProviderError') return error.name
  if (code !== undefined && NETWORK_CODES.has(code)) return code
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return /^[A-Za-z0-9_.]{1,64}$/.test(error.name) ? error.name : 'an error without a name'
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
