import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type ClientHttp2Session, type IncomingHttpHeaders, connect as connectHttp2 } from 'node:http2'
import type { IncomingMessage } from 'node:http'
import { type RequestOptions, Agent, request as requestHttps } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TLSSocket, connect as connectTls } from 'node:tls'
import { pino } from 'pino'
import { stringify } from 'yaml'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { freePorts } from '../../sandbox/free-ports.ts'
import { type App, createApp } from '../../src/app.ts'
import type { ConnectorInput } from '../../src/config/connector-schema.ts'
import { loadConnectorConfig } from '../../src/config/load-connector-config.ts'
import { type StagedApiServer, startStagedApiServer } from './staged-api-server.ts'
import { type StagedIssuer, startStagedIssuer } from './staged-issuer.ts'

/** Ana may do everything in namespace `default`, and follow pods everywhere. */
export const STAGED_POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: developers }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: ["*", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy"], namespaces: [default] }
  - { verbs: [get, list, watch], resources: [pods] }
`

export interface StagedGatewayOptions {
  readonly policy?: string
  readonly forwardAs?: 'connector' | 'subject'
  readonly hosts?: string[]
  readonly limits?: ConnectorInput['limits']
  readonly recordings?: ConnectorInput['recordings']
  readonly defaultSocket?: string
  /** Of both listeners. */
  readonly trustedProxies?: string[]
  /** Further sockets; each leads to the same API server with a token of its own. */
  readonly otherSockets?: readonly { readonly name: string; readonly hosts?: string[]; readonly token: string }[]
  /** Prepares the API server before the connector starts. */
  readonly stage?: (apiServer: StagedApiServer, issuer: StagedIssuer) => void
  /** Puts more files beside the document. */
  readonly prepare?: (directory: string, apiServer: StagedApiServer) => Promise<void>
  /** Changes what the document would be; `directory` is where it stands. */
  readonly adjust?: (document: ConnectorInput, directory: string) => ConnectorInput
}

/** A whole connector in this process, between a staged issuer and a staged API server, over real TLS. */
export interface StagedGateway {
  readonly app: App
  readonly apiServer: StagedApiServer
  readonly issuer: StagedIssuer
  /** Where the connector's document, policy and trail are. */
  readonly directory: string
  readonly port: number
  readonly portalPort: number
  readonly opsPort: number
  /** PEM. */
  readonly certificateAuthority: string
  /** A token of ana@example.com. */
  readonly token: string
  /** Lines that the connector logged. */
  readonly log: string[]
  readonly auditFile: string
  /** An answer over HTTP/1.1, its body collected. */
  fetch(path: string, options?: FetchOptions): Promise<Answer>
  /** The answer itself, its body still to come. The test ends it. */
  open(path: string, options?: FetchOptions): Promise<IncomingMessage>
  http2(): ClientHttp2Session
  /** A TLS connection that speaks HTTP/1.1 or HTTP/2, for raw bytes. */
  raw(protocol?: 'http/1.1' | 'h2'): Promise<TLSSocket>
  /** The audit events so far, oldest first. */
  events(): Promise<AuditEvent[]>
  stop(): Promise<void>
}

interface FetchOptions extends Pick<RequestOptions, 'method' | 'agent'> {
  readonly headers?: Record<string, string | string[]>
  readonly body?: string | Buffer
  /** Whether the token is left out. */
  readonly anonymous?: boolean
}

interface Answer {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: string
}

export interface AuditEvent {
  readonly auditID: string
  readonly stage: string
  readonly requestURI: string
  readonly verb: string
  readonly user: { readonly username?: string }
  readonly sourceIPs: readonly string[]
  readonly userAgent?: string
  readonly objectRef?: Readonly<Record<string, string>>
  readonly responseStatus?: { readonly code: number; readonly message?: string }
  readonly annotations: Readonly<Record<string, string>>
}

/** What a connector between a staged issuer and a staged API server needs, all of it started and written down. */
export interface StagedSurroundings {
  readonly apiServer: StagedApiServer
  readonly issuer: StagedIssuer
  readonly directory: string
  /** Path of the connector document. */
  readonly document: string
  readonly port: number
  readonly portalPort: number
  readonly opsPort: number
  readonly certificateAuthority: string
  readonly token: string
  stop(): Promise<void>
}

/** Prepares for a connector with socket `production` on free ports. The caller starts it, and stops the surroundings. */
export async function stageSurroundings(options: StagedGatewayOptions = {}): Promise<StagedSurroundings> {
  const [apiServer, issuer, directory, [port = 0, portalPort = 0, opsPort = 0]] = await Promise.all([
    startStagedApiServer(),
    startStagedIssuer(),
    mkdtemp(join(tmpdir(), 'postern-staged-')),
    freePorts(3),
  ])
  options.stage?.(apiServer, issuer)
  const authority = createCertificateAuthority('staged gateway')
  const { cert, key } = authority.issueServer({ hosts: ['127.0.0.1', 'localhost', ...hostsOf(options)] })
  const write = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text, { mode: 0o600 })
  const document = documentOf({ apiServer, issuer, ports: [port, portalPort, opsPort] }, options)
  const adjust = options.adjust ?? ((unchanged: ConnectorInput) => unchanged)
  await options.prepare?.(directory, apiServer)
  await Promise.all([
    write('tls.crt', cert + authority.certificate),
    write('tls.key', key),
    write('token', apiServer.token),
    ...(options.otherSockets ?? []).map(({ name, token }) => write(`token-${name}`, token)),
    write('policy.yaml', options.policy ?? STAGED_POLICY),
    write('connector.yaml', stringify(adjust(document, directory))),
  ])
  return {
    apiServer,
    issuer,
    directory,
    document: join(directory, 'connector.yaml'),
    port,
    portalPort,
    opsPort,
    certificateAuthority: authority.certificate,
    token: await issuer.sign({ exp: Math.floor(Date.now() / 1000) + 3600 }),
    async stop() {
      await Promise.all([apiServer.close(), issuer.close()])
      await rm(directory, { recursive: true })
    },
  }
}

/** Opens requests to a connector with Ana's token, over HTTP/1.1. `agent.destroy()` ends the connections. */
export function createOpener(surroundings: StagedSurroundings): {
  readonly open: StagedGateway['open']
  readonly agent: Agent
} {
  const { port, token, certificateAuthority } = surroundings
  const agent = new Agent({ ca: certificateAuthority, keepAlive: true, ALPNProtocols: ['http/1.1'] })
  const open: StagedGateway['open'] = (path, { headers = {}, body, anonymous = false, ...rest } = {}) =>
    new Promise((resolve, reject) => {
      const credential = anonymous ? {} : { Authorization: `Bearer ${token}` }
      const target = { host: '127.0.0.1', port, path, agent }
      const request = requestHttps({ ...target, headers: { ...credential, ...headers }, ...rest })
      request.once('response', resolve)
      request.once('error', reject)
      request.end(body)
    })
  return { open, agent }
}

/** Socket `production`, on free ports. The caller stops it. */
export async function startStagedGateway(options: StagedGatewayOptions = {}): Promise<StagedGateway> {
  const surroundings = await stageSurroundings(options)
  const { port, directory, certificateAuthority } = surroundings
  const log: string[] = []
  const auditFile = join(directory, 'audit', 'audit.jsonl')
  const config = await loadConnectorConfig(surroundings.document)
  const app = await createApp(config, { log: pino({ base: null }, { write: (line) => log.push(line) }) })
  await app.start()
  const { open, agent } = createOpener(surroundings)
  const sessions: ClientHttp2Session[] = []
  return {
    ...surroundings,
    app,
    log,
    auditFile,
    open,
    async fetch(path, fetchOptions) {
      const response = await open(path, fetchOptions)
      const body = Buffer.concat((await response.toArray()) as Buffer[]).toString()
      const { statusCode = 0, headers, rawHeaders } = response
      return { statusCode, headers, rawHeaders, body }
    },
    http2() {
      const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: certificateAuthority })
      session.on('error', () => undefined)
      sessions.push(session)
      return session
    },
    raw: (protocol = 'http/1.1') =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ host: '127.0.0.1', port, ca: certificateAuthority, ALPNProtocols: [protocol] })
        socket.once('secureConnect', () => {
          socket.off('error', reject)
          socket.on('error', () => undefined)
          resolve(socket)
        })
        socket.once('error', reject)
      }),
    async events() {
      const text = await readFile(auditFile, 'utf8')
      const lines = text.split('\n').filter((line) => line !== '')
      return lines.map((line) => JSON.parse(line) as AuditEvent)
    },
    async stop() {
      for (const session of sessions) session.destroy()
      agent.destroy()
      await app.stop()
      await surroundings.stop()
    },
  }
}

function hostsOf({ hosts = [], otherSockets = [] }: StagedGatewayOptions): string[] {
  return [...hosts, ...otherSockets.flatMap((socket) => socket.hosts ?? [])]
}

function documentOf(
  { apiServer, issuer, ports }: { apiServer: StagedApiServer; issuer: StagedIssuer; ports: readonly number[] },
  {
    forwardAs = 'connector',
    hosts = [],
    limits,
    recordings,
    defaultSocket,
    trustedProxies = [],
    otherSockets = [],
  }: StagedGatewayOptions,
): ConnectorInput {
  const tls = { certificate: 'tls.crt', key: 'tls.key' }
  const [kubernetes, portal, ops] = ports.map((port) => `127.0.0.1:${port}`)
  const upstreamWith = (tokenFile: string) => ({
    server: {
      url: apiServer.url,
      certificateAuthority: apiServer.certificateAuthority,
      credential: { token: { file: tokenFile } },
    },
  })
  return {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Connector',
    listen: {
      kubernetes: { address: kubernetes, tls, publicURL: `https://${kubernetes}`, trustedProxies },
      portal: { address: portal, tls, publicURL: `https://${portal}`, trustedProxies },
      ops: { address: ops },
    },
    identity: {
      issuers: [
        {
          issuer: { url: issuer.url, audiences: ['postern'], certificateAuthority: issuer.certificateAuthority },
          client: { id: 'postern' },
          claimMappings: { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
        },
      ],
    },
    sockets: [
      { name: 'production', hosts, forwardAs, upstream: upstreamWith('token') },
      ...otherSockets.map(({ name, hosts: names = [] }) => ({
        name,
        hosts: names,
        forwardAs,
        upstream: upstreamWith(`token-${name}`),
      })),
    ],
    policies: ['policy.yaml'],
    audit: { trail: { directory: 'audit' } },
    ...(limits !== undefined && { limits }),
    ...(recordings !== undefined && { recordings }),
    ...(defaultSocket !== undefined && { defaultSocket }),
  }
}
