import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { readSmallFile } from '../small-file.ts'
import type { AwsCredentials } from './eks-options.ts'

/** How long the service may take, in milliseconds, and what of its answer is read, in bytes. */
const TIMEOUT_MS = 5_000
const MAX_ANSWER_BYTES = 64 * 1024
const MAX_TOKEN_BYTES = 64 * 1024

/** What `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is relative to. */
const ECS = 'http://169.254.170.2'
/** Hosts that plain HTTP may go to besides loopback: those of ECS and of EKS Pod Identity. */
const LINK_LOCAL: ReadonlySet<string> = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'])

type Environment = Readonly<Record<string, string | undefined>>

/** The container's credentials service gives none. */
export class ContainerCredentialsError extends Error {
  override readonly name = 'ContainerCredentialsError'
  /** AWS's name for why, such as `AccessDeniedException`; Node's for the network; else the status of the answer. */
  readonly code: string

  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/** Whether the environment is that of a container that gets credentials from EKS Pod Identity or ECS. */
export function hasContainerCredentials(environment: Environment): boolean {
  return addressOf(environment) !== ''
}

/**
 * Credentials of the container that we run in: EKS Pod Identity, or the task role of ECS. Here and not left to the SDK, since
 * that waits without end for a service that does not answer, and drops what it says when it refuses.
 *
 * @throws ContainerCredentialsError when the service refuses or cannot be reached; Error with one phrase for what cannot be
 * used or read
 * @see AWS SDKs and Tools Reference, "Container credential provider"
 */
export async function containerCredentials(environment: Environment, signal: AbortSignal): Promise<AwsCredentials> {
  const url = allowed(addressOf(environment))
  const file = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'] ?? ''
  // Read each time: the kubelet replaces it.
  const token =
    file === '' ? environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'] : await readSmallFile(file, MAX_TOKEN_BYTES)
  const headers = { Accept: 'application/json', ...(token !== undefined && { Authorization: token.trim() }) }
  const { statusCode, text } = await get(url, headers, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]))
  if (statusCode !== 200) throw new ContainerCredentialsError(codeIn(text) ?? `status ${statusCode}`)
  return read(text)
}

function addressOf(environment: Environment): string {
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] ?? ''
  return relative === '' ? (environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '') : ECS + relative
}

/** The token must not go over plain HTTP to anywhere else. */
function allowed(address: string): URL {
  const url = URL.parse(address)
  const host = url?.hostname ?? ''
  const isLoopback = host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'))
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && (isLoopback || LINK_LOCAL.has(host)))) return url
  throw new Error('AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of this machine, ECS or EKS')
}

async function get(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly statusCode: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly statusCode: number; readonly text: string }>()
  const send = url.protocol === 'http:' ? requestHttp : requestHttps
  const request = send(url, { headers, signal, agent: false }, (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (text.length > MAX_ANSWER_BYTES) response.destroy(new Error('the answer with credentials is too long'))
    })
    response.on('error', reject)
    response.on('end', () => {
      resolve({ statusCode: response.statusCode ?? 0, text })
    })
  })
  request.on('error', reject).end()
  try {
    return await promise
  } catch (error) {
    const { name, code } = (signal.aborted ? signal.reason : error) as NodeJS.ErrnoException
    throw new ContainerCredentialsError(typeof code === 'string' ? code : name)
  }
}

function read(text: string): AwsCredentials {
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = parse(text)
  const expiration = new Date(typeof Expiration === 'string' ? Expiration : Number.NaN)
  if (typeof AccessKeyId !== 'string' || typeof SecretAccessKey !== 'string' || typeof Token !== 'string') {
    throw new ContainerCredentialsError('something else than credentials')
  }
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: Token,
    ...(!Number.isNaN(expiration.getTime()) && { expiration }),
  }
}

/** Of what the agent of Pod Identity (`[id]: (CODE): words`) or ECS (JSON) says; its words are not kept. */
function codeIn(text: string): string | undefined {
  const [, inParentheses, inJSON] = /\(([A-Za-z]{1,64})\)|"[Cc]ode"\s*:\s*"([A-Za-z]{1,64})"/.exec(text) ?? []
  return inParentheses ?? inJSON
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
