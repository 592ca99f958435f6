import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { hasFIPS, stsHost } from '../../src/upstream/eks/partition.ts'
import { expectedSignature, parseAmzDate, readSignature, type SignedRequest } from './aws-signature.ts'

/** AWS takes requests that were signed so long before, for signed URLs of STS, or so far from now, for others. */
const PRESIGNED_LIFE_MS = 15 * 60_000
const CLOCK_TOLERANCE_MS = 5 * 60_000

/** Whom an access key belongs to. */
interface StagedIdentity {
  readonly accessKeyID: string
  readonly secretAccessKey: string
  /** Empty for keys that last. */
  readonly sessionToken: string
  /** As GetCallerIdentity says it. */
  readonly arn: string
  readonly userID: string
  /** Milliseconds since the epoch. */
  expiresAtMs: number
  /** IAM actions, and ARNs of roles that it may assume. */
  readonly allowed: Set<string>
}

interface StagedCluster {
  status: string
  endpoint: string
  certificateAuthority: string
  authenticationMode: 'CONFIG_MAP' | 'API_AND_CONFIG_MAP' | 'API'
  publicEndpoint: boolean
  readonly accessEntries: Map<string, { readonly username: string; readonly kubernetesGroups: readonly string[] }>
}

interface StagedRole {
  readonly externalID?: string
  readonly allowed?: readonly string[]
  /** Milliseconds. */
  readonly lifetimeMs?: number
}

interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** A fault in place of an answer: an error of AWS's, a connection that is cut, or silence, at once or within the answer. */
type Fault = Refusal | 'cut' | 'silence' | 'half'

/**
 * EKS and STS of one region and one account, in AWS's protocols (REST with JSON, and the query protocol), which verify every
 * signature. STS is also reached over TLS in its own name, through an HTTP proxy, since that is how a cluster's authenticator
 * finds it.
 */
export interface StagedAws {
  readonly region: string
  readonly account: string
  /** Environment of a process that shall find this AWS, and no other: for the SDK, and for programs in Go. */
  readonly environment: Readonly<Record<string, string>>
  /** PEM, of STS. */
  readonly certificateAuthority: string
  readonly clusters: Map<string, StagedCluster>
  /** By ARN. */
  readonly roles: Map<string, StagedRole>
  /** Tokens of service accounts, and the ARN of the role that each may take on. */
  readonly webIdentities: Map<string, string>
  /** Requests whose answer is not over. */
  readonly openRequests: number
  /** Operations that were asked for, in order, such as `eks:DescribeCluster`. */
  readonly seen: string[]
  /** What this AWS takes the time to be, apart from the machine's, in milliseconds. */
  clockOffsetMs: number
  /** Asked before each operation is done. */
  fault: (operation: string) => Fault | undefined
  addIdentity(identity: {
    readonly arn: string
    readonly allowed?: readonly string[]
    readonly temporary?: boolean
  }): StagedIdentity
  close(): Promise<void>
}

/** Starts it on a free port of 127.0.0.1; `region` may be one of any partition. */
export async function startStagedAws(region = 'eu-west-1'): Promise<StagedAws> {
  const authority = createCertificateAuthority('staged AWS')
  const account = '111122223333'
  const identities = new Map<string, StagedIdentity>()
  const connections = new Set<Duplex>()
  const requests = new Set<ServerResponse>()

  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    void answer(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined)
    })
  }
  const server = createServer(handler)
  const hosts = [...new Set([stsHost(region, false), stsHost(region, hasFIPS(region))])]
  const secure = createTlsServer(authority.issueServer({ hosts }), handler)
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    if (!hosts.some((host) => request.url === `${host}:443`)) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    secure.emit('connection', socket)
  })
  server.on('connection', (socket: Duplex) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const staged: StagedAws = {
    region,
    account,
    environment: {
      AWS_ENDPOINT_URL: url,
      AWS_EC2_METADATA_DISABLED: 'true',
      HTTPS_PROXY: url,
    },
    certificateAuthority: authority.certificate,
    clusters: new Map(),
    roles: new Map(),
    webIdentities: new Map(),
    get openRequests() {
      return requests.size
    },
    seen: [],
    clockOffsetMs: 0,
    fault: () => undefined,
    addIdentity({ arn, allowed = [], temporary = false }) {
      const unique = randomBytes(6).toString('hex').toUpperCase()
      const identity: StagedIdentity = {
        accessKeyID: `${temporary ? 'ASIA' : 'AKIA'}STAGED${unique}`,
        secretAccessKey: `secret/of+${unique}`,
        sessionToken: temporary ? `session-token-of-${unique}+/=${'x'.repeat(400)}` : '',
        arn,
        userID: arn.includes(':assumed-role/') ? `AROA${unique}:${arn.split('/').at(-1) ?? ''}` : `AIDA${unique}`,
        expiresAtMs: temporary ? Date.now() + 3_600_000 : Infinity,
        allowed: new Set(allowed),
      }
      identities.set(identity.accessKeyID, identity)
      return identity
    },
    async close() {
      for (const socket of connections) socket.destroy()
      secure.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return staged

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const headers = request.headers as Record<string, string>
    const { method = '', url: target = '/' } = request
    const signed: SignedRequest = { method, target, headers, body: await buffer(request) }
    const form = new URLSearchParams(target.includes('Action=') ? target.split('?')[1] : signed.body.toString())
    const action = form.get('Action')
    const operation = action === null ? eksOperation(target) : `sts:${action}`
    staged.seen.push(operation)
    response.setHeader('Date', new Date(Date.now() + staged.clockOffsetMs).toUTCString())
    requests.add(response)
    response.once('close', () => requests.delete(response))
    const fault = staged.fault(operation)
    if (fault === 'cut') {
      response.destroy()
      return
    }
    if (fault === 'half') response.writeHead(200, { 'Content-Type': 'application/json' }).write('{')
    if (fault === 'half' || fault === 'silence') return
    const refuse = action === null ? refuseJSON : refuseQuery(headers['accept'] === 'application/json')
    if (fault === undefined && action === 'AssumeRoleWithWebIdentity') {
      assumeWithToken(form, response, refuse)
      return
    }
    const problem = fault ?? verify(signed, action === null ? 'eks' : 'sts')
    if ('code' in problem) refuse(response, problem)
    else if (action === null) answerEks(operation, target, problem, response, refuse)
    else answerSts(action, form, problem, headers['accept'] === 'application/json', response, refuse)
  }

  function verify(request: SignedRequest, service: string): StagedIdentity | Refusal {
    const signature = readSignature(request)
    if (signature === null) return { status: 403, code: 'MissingAuthenticationToken', message: 'not signed' }
    const code = service === 'sts' ? 'SignatureDoesNotMatch' : 'InvalidSignatureException'
    const identity = identities.get(signature.accessKeyID)
    if (identity === undefined) {
      const unknown = service === 'sts' ? 'InvalidClientTokenId' : 'UnrecognizedClientException'
      return { status: 403, code: unknown, message: 'The security token included in the request is invalid.' }
    }
    if (signature.region !== region || signature.service !== service) {
      return { status: 403, code, message: `Credential should be scoped to a valid region.` }
    }
    const now = Date.now() + staged.clockOffsetMs
    const age = now - parseAmzDate(signature.date)
    const life = signature.presigned ? PRESIGNED_LIFE_MS : CLOCK_TOLERANCE_MS
    if (!(age <= life))
      return { status: 403, code, message: `Signature expired: ${signature.date} is now earlier than …` }
    if (age < -CLOCK_TOLERANCE_MS) return { status: 403, code, message: `Signature not yet current: ${signature.date}` }
    if (expectedSignature(request, signature, identity.secretAccessKey) !== signature.signature) {
      const message = `The request signature we calculated does not match. The Canonical String should have been '${request.target}'`
      return { status: 403, code, message }
    }
    if (signature.sessionToken !== identity.sessionToken) {
      return {
        status: 403,
        code: 'InvalidClientTokenId',
        message: 'The security token included in the request is invalid',
      }
    }
    if (identity.expiresAtMs <= now) {
      const expired = service === 'sts' ? 'ExpiredToken' : 'ExpiredTokenException'
      return { status: 403, code: expired, message: 'The security token included in the request is expired' }
    }
    return identity
  }

  function answerEks(
    operation: string,
    target: string,
    identity: StagedIdentity,
    response: ServerResponse,
    refuse: Refuse,
  ): void {
    if (!identity.allowed.has(operation)) {
      const message = `User: ${identity.arn} is not authorized to perform: ${operation} on resource: arn:aws:eks:${region}:${account}:cluster/x`
      refuse(response, { status: 403, code: 'AccessDeniedException', message })
      return
    }
    const [, , name = '', , principal = ''] = target.split('?')[0]?.split('/').map(decodeURIComponent) ?? []
    if (operation === 'eks:ListClusters') {
      // Two pages, so that pages are followed.
      const names = [...staged.clusters.keys()]
      const second = new URL(target, url).searchParams.has('nextToken')
      const half = Math.ceil(names.length / 2)
      const page = second ? names.slice(half) : names.slice(0, half)
      json(response, { clusters: page, ...(!second && half < names.length && { nextToken: 'second' }) })
      return
    }
    const cluster = staged.clusters.get(name)
    if (cluster === undefined) {
      refuse(response, {
        status: 404,
        code: 'ResourceNotFoundException',
        message: `No cluster found for name: ${name}.`,
      })
      return
    }
    if (operation === 'eks:ListAccessEntries') {
      json(response, { accessEntries: [...cluster.accessEntries.keys()] })
      return
    }
    if (operation === 'eks:DescribeAccessEntry') {
      const accessEntry = cluster.accessEntries.get(principal)
      if (accessEntry === undefined) {
        refuse(response, {
          status: 404,
          code: 'ResourceNotFoundException',
          message: 'The specified principalArn could not be found',
        })
      } else json(response, { accessEntry })
      return
    }
    const { status, endpoint, certificateAuthority, authenticationMode, publicEndpoint } = cluster
    json(response, {
      cluster: {
        name,
        arn: `arn:aws:eks:${region}:${account}:cluster/${name}`,
        version: '1.35',
        status,
        ...(endpoint !== '' && { endpoint }),
        certificateAuthority: { data: Buffer.from(certificateAuthority).toString('base64') },
        accessConfig: { authenticationMode },
        resourcesVpcConfig: { endpointPublicAccess: publicEndpoint, endpointPrivateAccess: true },
      },
    })
  }

  function answerSts(
    action: string,
    form: URLSearchParams,
    identity: StagedIdentity,
    asJSON: boolean,
    response: ServerResponse,
    refuse: Refuse,
  ): void {
    if (action === 'GetCallerIdentity') {
      const result = { Account: account, Arn: identity.arn, UserId: identity.userID }
      if (asJSON) json(response, { GetCallerIdentityResponse: { GetCallerIdentityResult: result } })
      else xml(response, action, tags(result))
      return
    }
    const arn = form.get('RoleArn') ?? ''
    const role = staged.roles.get(arn)
    const external = form.get('ExternalId') ?? undefined
    if (role === undefined || !identity.allowed.has(arn) || role.externalID !== external) {
      const message = `User: ${identity.arn} is not authorized to perform: sts:AssumeRole on resource: ${arn}`
      refuse(response, { status: 403, code: 'AccessDenied', message })
      return
    }
    giveCredentials(role, action, form, response)
  }

  /** Such a request is not signed. */
  function assumeWithToken(form: URLSearchParams, response: ServerResponse, refuse: Refuse): void {
    const arn = form.get('RoleArn') ?? ''
    const role = staged.roles.get(arn)
    if (role === undefined || staged.webIdentities.get(form.get('WebIdentityToken') ?? '') !== arn) {
      const message = 'Not authorized to perform sts:AssumeRoleWithWebIdentity'
      refuse(response, { status: 403, code: 'AccessDenied', message })
      return
    }
    giveCredentials(role, 'AssumeRoleWithWebIdentity', form, response)
  }

  function giveCredentials(role: StagedRole, action: string, form: URLSearchParams, response: ServerResponse): void {
    const name = form.get('RoleArn')?.split('/').at(-1) ?? ''
    const session = `arn:aws:sts::${account}:assumed-role/${name}/${form.get('RoleSessionName') ?? ''}`
    const assumed = staged.addIdentity({ arn: session, allowed: role.allowed ?? [], temporary: true })
    if (role.lifetimeMs !== undefined) assumed.expiresAtMs = Date.now() + role.lifetimeMs
    xml(
      response,
      action,
      `<Credentials>${tags({
        AccessKeyId: assumed.accessKeyID,
        SecretAccessKey: assumed.secretAccessKey,
        SessionToken: assumed.sessionToken,
        Expiration: new Date(assumed.expiresAtMs).toISOString(),
      })}</Credentials>`,
    )
  }
}

type Refuse = (response: ServerResponse, refusal: Refusal) => void

function eksOperation(target: string): string {
  const [, , name, kind, principal = ''] = target.split('?')[0]?.split('/') ?? []
  if (name === undefined || name === '') return 'eks:ListClusters'
  if (kind !== 'access-entries') return 'eks:DescribeCluster'
  return principal === '' ? 'eks:ListAccessEntries' : 'eks:DescribeAccessEntry'
}

const refuseJSON: Refuse = (response, { status, code, message }) => {
  response
    .writeHead(status, { 'Content-Type': 'application/json', 'x-amzn-errortype': code })
    .end(JSON.stringify({ message }))
}

const refuseQuery =
  (asJSON: boolean): Refuse =>
  (response, { status, code, message }) => {
    if (asJSON) {
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify({ Error: { Code: code, Message: message, Type: 'Sender' }, RequestId: '1' }))
      return
    }
    const error = `<Error><Type>Sender</Type>${tags({ Code: code, Message: message })}</Error>`
    response.writeHead(status, { 'Content-Type': 'text/xml' })
    response.end(
      `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${error}<RequestId>1</RequestId></ErrorResponse>`,
    )
  }

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value))
}

function xml(response: ServerResponse, action: string, result: string): void {
  const inner = `<${action}Result>${result}</${action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>`
  response.writeHead(200, { 'Content-Type': 'text/xml' })
  response.end(`<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${inner}</${action}Response>`)
}

function tags(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `<${name}>${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</${name}>`)
    .join('')
}
