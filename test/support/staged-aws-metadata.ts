import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { StagedAws } from './staged-aws.ts'

/** What a role is called by the instance metadata service. */
const ROLE = 'instance-role'
const SESSION = 'session-of-the-metadata-service'
const IMDS = '/latest/meta-data/iam/security-credentials/'

type Identity = ReturnType<StagedAws['addIdentity']>

/**
 * Where a machine or a container finds credentials of its own: the agent of EKS Pod Identity (`/v1/credentials`), and the
 * instance metadata service of EC2, version 2.
 */
export interface StagedMetadata {
  readonly url: string
  /** Whose credentials are given; the service of a container asks for this token. */
  identity: Identity
  token: string
  /** In place of credentials: an answer of the agent, or none. */
  refusal: { readonly status: number; readonly body: string } | 'silence' | undefined
  /** `METHOD path`, in order. */
  readonly seen: string[]
  readonly openRequests: number
  close(): Promise<void>
}

/** Starts it on a free port of 127.0.0.1. */
export async function startStagedMetadata(identity: Identity): Promise<StagedMetadata> {
  const requests = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    requests.add(response)
    response.once('close', () => requests.delete(response))
    staged.seen.push(`${request.method ?? ''} ${request.url ?? ''}`)
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const staged: StagedMetadata = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    identity,
    token: 'token-of-the-pod',
    refusal: undefined,
    seen: [],
    get openRequests() {
      return requests.size
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return staged

  function answer({ method, url, headers }: IncomingMessage, response: ServerResponse): void {
    const { refusal } = staged
    const { accessKeyID, secretAccessKey, sessionToken, expiresAtMs } = staged.identity
    const credentials = JSON.stringify({
      AccessKeyId: accessKeyID,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: new Date(expiresAtMs).toISOString(),
    })
    if (refusal === 'silence') return
    if (refusal !== undefined) response.writeHead(refusal.status).end(refusal.body)
    else if (url === '/v1/credentials') {
      if (headers.authorization === staged.token) response.end(credentials)
      else response.writeHead(401).end('Access Denied. no such token')
    } else if (method === 'PUT' && url === '/latest/api/token') response.end(SESSION)
    else if (headers['x-aws-ec2-metadata-token'] !== SESSION) response.writeHead(401).end()
    else if (url === IMDS) response.end(ROLE)
    else if (url === IMDS + ROLE) response.end(credentials)
    else response.writeHead(404).end()
  }
}
