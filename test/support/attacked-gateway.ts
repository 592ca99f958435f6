import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { FLAG, FRAME_TYPE, type FrameExchange, exchangeFrames, http2Frame, http2HeaderBlock } from './http2-frames.ts'
import { type RawAnswer, type RawExchange, type StreamEnd, exchange, exchangeStream } from './raw-exchange.ts'
import { type AuditEvent, type StagedGateway, type StagedGatewayOptions, startStagedGateway } from './staged-gateway.ts'

/** Ana may do everything, so that what is refused is not refused by the policy. */
export const EVERYTHING = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: everything }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: ["*", "*/*"] }
  - { verbs: ["*"], nonResourceURLs: ["*"] }
`

/** Under the path prefix of the staged socket. */
export const SOCKET = '/sockets/production'
export const NAMESPACE = `${SOCKET}/api/v1/namespaces/default`

/** Both protocols of the listener. */
export const PROTOCOLS = ['HTTP/1.1', 'HTTP/2'] as const
export type Protocol = (typeof PROTOCOLS)[number]

export interface Attack {
  readonly method?: string
  readonly target: string
  /** Header lines behind those that every request has. */
  readonly lines?: readonly (readonly [string, string])[]
  readonly body?: string
  /** Default that of ana; null leaves the header out. */
  readonly token?: string | null
}

export interface Refusal {
  readonly code: number
  readonly reason: string
  /** What the message has to say. */
  readonly message?: string | RegExp
}

export const BAD_REQUEST: Refusal = { code: 400, reason: 'BadRequest' }
export const UNAUTHORIZED: Refusal = { code: 401, reason: 'Unauthorized' }
export const FORBIDDEN: Refusal = { code: 403, reason: 'Forbidden' }
export const NOT_FOUND: Refusal = { code: 404, reason: 'NotFound' }
export const METHOD_NOT_ALLOWED: Refusal = { code: 405, reason: 'MethodNotAllowed' }
export const BAD_GATEWAY: Refusal = { code: 502, reason: 'BadGateway' }

/** The values of all header lines of this name, in lower case, in the order in which they came. */
export function valuesOf({ rawHeaders }: { readonly rawHeaders: readonly string[] }, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name)
}

/** The names of all header lines, in lower case and sorted. */
export function namesOf({ rawHeaders }: { readonly rawHeaders: readonly string[] }): string[] {
  return rawHeaders
    .filter((_, i) => i % 2 === 0)
    .map((name) => name.toLowerCase())
    .toSorted()
}

/** A gateway for the tests of one file, which starts before the first and ends behind the last. */
export function attackedGateway(options: StagedGatewayOptions = {}): AttackedGateway {
  const attacked = new AttackedGateway()
  beforeAll(async () => {
    // What a test leaves under way is not waited for.
    attacked.gateway = await startStagedGateway({ ...options, limits: { drainTimeout: '0s', ...options.limits } })
  })
  afterAll(async () => {
    await attacked.stop()
  })
  beforeEach(() => {
    attacked.forget()
  })
  return attacked
}

/** A staged gateway, ways to attack it with bytes, and what has to hold afterwards. */
export class AttackedGateway {
  #gateway: StagedGateway | undefined
  #honest: Pick<StagedGateway['apiServer'], 'onRequest' | 'onUpgrade'> | undefined
  readonly #connections = new Set<Duplex>()

  get gateway(): StagedGateway {
    if (this.#gateway === undefined) throw new Error('the gateway has not been started')
    return this.#gateway
  }

  set gateway(gateway: StagedGateway) {
    this.#gateway = gateway
    const { onRequest, onUpgrade } = gateway.apiServer
    this.#honest = { onRequest, onUpgrade }
  }

  get apiServer(): StagedGateway['apiServer'] {
    return this.gateway.apiServer
  }

  /** What the API server saw since the test began. */
  get seen(): StagedGateway['apiServer']['seen'] {
    return this.apiServer.seen
  }

  /** Makes the API server forget what it saw, and answer honestly again. */
  forget(): void {
    this.seen.length = 0
    Object.assign(this.apiServer, this.#honest)
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.destroy()
    await this.#gateway?.stop()
  }

  /** A TLS connection for raw bytes, which ends with the file. */
  async connect(protocol?: 'http/1.1' | 'h2'): Promise<TLSSocket> {
    const connection = await this.gateway.raw(protocol)
    this.#connections.add(connection)
    connection.once('close', () => this.#connections.delete(connection))
    return connection
  }

  /** Sends one request on a connection of its own. A target goes out byte for byte. */
  async send(protocol: Protocol, request: Attack): Promise<StreamEnd> {
    return protocol === 'HTTP/1.1' ? await this.#sendOverHttp1(request) : await this.#sendOverHttp2(request)
  }

  /** Writes raw bytes on an HTTP/1.1 connection of their own, and gives what came back until the other side ended it. */
  async write(bytes: string | Buffer, options?: Parameters<typeof exchange>[2]): Promise<RawExchange> {
    const connection = await this.connect()
    const result = await exchange(connection, bytes, options)
    if (!result.ended) connection.destroy()
    return result
  }

  /** The same, of which just one answer is wanted; the connection is then ended if it was kept. */
  async writeForOne(bytes: string | Buffer): Promise<RawAnswer> {
    const { answers } = await this.write(bytes, { answers: 1 })
    const [answer] = answers
    if (answer === undefined) throw new Error('the gateway ended the connection without an answer')
    return answer
  }

  /** The same, of which one answer and the end of the connection are expected. */
  async writeOnce(bytes: string | Buffer): Promise<RawAnswer> {
    const { answers, rest, ended } = await this.write(bytes)
    const [answer] = answers
    expect({ answers: answers.length, rest, ended }).toEqual({ answers: 1, rest: '', ended: true })
    if (answer === undefined) throw new Error('the gateway ended the connection without an answer')
    return answer
  }

  /** The head of an HTTP/1.1 request of ana's, up to its empty line. */
  head(method: string, target: string, lines: readonly string[] = []): string {
    const all = [
      `${method} ${target} HTTP/1.1`,
      'Host: localhost',
      `Authorization: Bearer ${this.gateway.token}`,
      ...lines,
    ]
    return `${all.join('\r\n')}\r\n\r\n`
  }

  /** Sends a request without body over HTTP/2, with header lines as given, pseudo headers and credential included. */
  async sendHeaderBlock(lines: readonly (readonly [string, string])[]): Promise<FrameExchange> {
    const connection = await this.connect('h2')
    const block = http2HeaderBlock(lines)
    const request = http2Frame(FRAME_TYPE.headers, FLAG.endStream | FLAG.endHeaders, 1, block)
    const result = await exchangeFrames(connection, [request])
    connection.destroy()
    return result
  }

  /**
   * Fails unless an answer is a refusal as it should be: its code, a `Status` with the audit id, one audit event that
   * tells the same, no token in either, and an API server that saw nothing. Gives the event.
   */
  async expectRefused(answer: StreamEnd, refusal: Refusal): Promise<AuditEvent> {
    if (!('statusCode' in answer)) throw new Error(`no answer, but a reset with code ${answer.resetCode}`)
    expect(answer.statusCode, answer.body).toBe(refusal.code)
    expect(answer.headers['content-type']).toBe('application/json')
    const event = await this.expectStatus(answer.body, refusal)
    expect(event.auditID).toBe(answer.headers['audit-id'])
    return event
  }

  /** The same of the body of an answer alone. */
  async expectStatus(body: string, { code, reason, message = '' }: Refusal): Promise<AuditEvent> {
    const status = JSON.parse(body) as { message: string }
    expect(status).toMatchObject({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code })
    expect(status.message).toMatch(message)
    expect(status.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    const event = await this.eventOf(/\(audit id ([\da-f-]{36})\)$/.exec(status.message)?.[1] ?? '')
    expect(event.responseStatus).toMatchObject({ code })
    expect(JSON.stringify(event) + body).not.toContain(this.gateway.token)
    expect(this.seen).toEqual([])
    return event
  }

  /** Fails unless a request was answered by the API server. Gives what the API server saw. */
  expectForwarded(answer: StreamEnd): StagedGateway['apiServer']['seen'][number] {
    expect(answer).toMatchObject({ statusCode: 200 })
    const [seen, ...more] = this.seen
    if (seen === undefined) throw new Error('the API server saw nothing')
    expect(more).toEqual([])
    return seen
  }

  /** The event that closes the account of a request. Waits for it; there must be only one. */
  async eventOf(auditId: string): Promise<AuditEvent> {
    const found = async (): Promise<AuditEvent[]> =>
      (await this.gateway.events()).filter(({ auditID, stage }) => auditID === auditId && stage === 'ResponseComplete')
    await expect.poll(async () => (await found()).length, { interval: 3 }).toBeGreaterThan(0)
    const [event, ...more] = await found()
    expect(more).toEqual([])
    if (event === undefined) throw new Error(`no event with the audit id ${auditId}`)
    return event
  }

  /** Fails unless the next honest request gets its own answer, and nothing else reached the API server. */
  async expectServing(): Promise<void> {
    this.seen.length = 0
    const answer = await this.send('HTTP/1.1', { target: `${NAMESPACE}/pods/honest` })
    expect(answer).toMatchObject({ statusCode: 200, body: '{"items":[]}' })
    expect(this.seen.map(({ target }) => target)).toEqual(['/api/v1/namespaces/default/pods/honest'])
    this.seen.length = 0
  }

  async #sendOverHttp1({ method = 'GET', target, lines = [], body, token }: Attack): Promise<StreamEnd> {
    const length: [string, string][] = body === undefined ? [] : [['Content-Length', String(body.length)]]
    const all = [['Host', 'localhost'] as const, ...this.#credential(token), ...length, ...lines]
    const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
    const { answers } = await this.write(head + (body ?? ''), { answers: 1, method })
    return answers[0] ?? { resetCode: 0 }
  }

  async #sendOverHttp2({ method = 'GET', target, lines = [], body, token }: Attack): Promise<StreamEnd> {
    const headers = Object.create(null) as Record<string, string | string[]>
    headers[':method'] = method
    headers[':path'] = target
    for (const [name, value] of [...this.#credential(token), ...lines]) {
      const known = headers[name.toLowerCase()]
      headers[name.toLowerCase()] = known === undefined ? value : [known, value].flat()
    }
    const session = this.gateway.http2()
    await once(session, 'connect')
    try {
      return await exchangeStream(session, headers, body)
    } finally {
      session.destroy()
    }
  }

  #credential(token: string | null | undefined): [string, string][] {
    return token === null ? [] : [['Authorization', `Bearer ${token ?? this.gateway.token}`]]
  }
}
