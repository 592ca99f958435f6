import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Server, createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { json } from 'node:stream/consumers'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'

/** Where a connector asks what it may do. */
const RULES_REVIEW = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
const ACCESS_REVIEW = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'

interface SeenRequest {
  readonly method: string
  readonly target: string
  /** As on the wire: name, value, name, value, … */
  readonly rawHeaders: readonly string[]
}

/**
 * An API server over TLS that answers as a test says and remembers all that it saw, the connector's own questions left
 * out. For faults; what an honest one does, the sandbox's control plane shows.
 */
export interface StagedApiServer {
  readonly url: string
  /** PEM. */
  readonly certificateAuthority: string
  /** The token that the connector presents. */
  readonly token: string
  readonly server: Server
  readonly seen: SeenRequest[]
  /** The connector's own rights as it is told of them; null does not tell. */
  ownRules: readonly object[] | null
  /**
   * Where a webhook authorizer keeps `ownRules` from being all: whether the connector may do what `resourceAttributes` of an
   * access review say; null for an authorizer that fails.
   */
  ownAccess: ((attributes: Readonly<Record<string, string>>) => boolean | null) | null
  /** What access reviews asked for. */
  readonly accessAsked: Readonly<Record<string, string>>[]
  readonly openConnections: number
  /** Requests whose answer is not over. */
  readonly openRequests: number
  onRequest: (request: IncomingMessage, response: ServerResponse) => void
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  close(): Promise<void>
}

/** Starts one on a free port of 127.0.0.1. It answers 200 with an empty list until a test says otherwise. */
export async function startStagedApiServer(): Promise<StagedApiServer> {
  const authority = createCertificateAuthority('staged API server')
  const server = createServer({ ...authority.issueServer(), keepAliveTimeout: 60_000 })
  const connections = new Set<Duplex>()
  const requests = new Set<ServerResponse>()
  const staged: StagedApiServer = {
    url: '',
    certificateAuthority: authority.certificate,
    token: 'token-of-the-connector',
    server,
    seen: [],
    ownRules: null,
    ownAccess: null,
    accessAsked: [],
    get openConnections() {
      return connections.size
    },
    get openRequests() {
      return requests.size
    },
    onRequest(request, response) {
      request.resume()
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"items":[]}')
    },
    onUpgrade(_request, socket) {
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
    },
    async close() {
      for (const connection of connections) connection.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  const remember = ({ method = '', url = '', rawHeaders }: IncomingMessage): void => {
    staged.seen.push({ method, target: url, rawHeaders })
  }
  server.on('secureConnection', (connection) => {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
  })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/readyz') {
      response.end('ok')
      return
    }
    if (request.url === RULES_REVIEW) {
      const status = { resourceRules: staged.ownRules, incomplete: staged.ownAccess !== null }
      if (staged.ownRules === null) response.writeHead(404).end()
      else response.writeHead(201).end(JSON.stringify({ status }))
      return
    }
    if (request.url === ACCESS_REVIEW && staged.ownAccess !== null) {
      void reviewAccess(request, response, staged.ownAccess)
      return
    }
    remember(request)
    requests.add(response)
    response.once('close', () => requests.delete(response))
    staged.onRequest(request, response)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    remember(request)
    socket.on('error', () => socket.destroy())
    staged.onUpgrade(request, socket, head)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(staged, { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` })

  async function reviewAccess(
    request: IncomingMessage,
    response: ServerResponse,
    decide: NonNullable<StagedApiServer['ownAccess']>,
  ): Promise<void> {
    const { spec } = (await json(request)) as { readonly spec: { readonly resourceAttributes: Record<string, string> } }
    staged.accessAsked.push(spec.resourceAttributes)
    const allowed = decide(spec.resourceAttributes)
    const status = allowed === null ? { allowed: false, evaluationError: 'the webhook is away' } : { allowed }
    response.writeHead(201).end(JSON.stringify({ status }))
  }
}
