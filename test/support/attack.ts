import { expect } from 'vitest'
import type { Duplex } from 'node:stream'
import { type RawAnswer, type StreamEnd, exchange, exchangeStream } from './raw-exchange.ts'
import type { AuditEvent, StagedGateway } from './staged-gateway.ts'

/** The namespace in which ana may do everything, under the path prefix of the staged socket. */
export const DEFAULT_NAMESPACE = '/sockets/production/api/v1/namespaces/default'

/** Both protocols of the listener. */
export const PROTOCOLS = ['HTTP/1.1', 'HTTP/2'] as const
export type Protocol = (typeof PROTOCOLS)[number]

export interface Attack {
  readonly method?: string
  readonly target: string
  /** Sent as they are, behind those that every request has. */
  readonly lines?: readonly (readonly [string, string])[]
  readonly body?: string
  /** Default that of ana; null leaves the header out. */
  readonly token?: string | null
}

/** Sends one request on a connection of its own. A target goes out byte for byte. */
export async function attack(gateway: StagedGateway, protocol: Protocol, request: Attack): Promise<StreamEnd> {
  const { method = 'GET', target, lines = [], body } = request
  const token = request.token === undefined ? gateway.token : request.token
  if (protocol === 'HTTP/1.1') {
    const length: [string, string][] = body === undefined ? [] : [['Content-Length', String(body.length)]]
    const text = requestHead(gateway, { method, target, token, lines: [...length, ...lines] }) + (body ?? '')
    const connection = await gateway.raw()
    const { answers } = await exchange(connection, text, { answers: 1, method })
    connection.destroy()
    return answers[0] ?? { resetCode: 0 }
  }
  const session = gateway.http2()
  const headers: Record<string, string | string[]> = { ':method': method, ':path': target }
  if (token !== null) headers['authorization'] = `Bearer ${token}`
  for (const [name, value] of lines) {
    const known = headers[name.toLowerCase()]
    headers[name.toLowerCase()] = known === undefined ? value : [known, value].flat()
  }
  const end = await exchangeStream(session, headers, body)
  session.destroy()
  return end
}

/** The head of an HTTP/1.1 request, credential included, up to its empty line. */
export function requestHead(
  gateway: StagedGateway,
  { method = 'GET', target, lines = [], token = gateway.token }: Omit<Attack, 'body'>,
): string {
  const credential: [string, string][] = token === null ? [] : [['Authorization', `Bearer ${token}`]]
  const all = [['Host', 'localhost'] as const, ...credential, ...lines]
  return `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

/** Sends raw bytes on an HTTP/1.1 connection of their own and gives the first answer and what became of the connection. */
export async function attackWithBytes(
  gateway: StagedGateway,
  bytes: string | Buffer,
): Promise<{ readonly answer: RawAnswer; readonly connection: Duplex }> {
  const connection = await gateway.raw()
  const { answers } = await exchange(connection, bytes, { answers: 1 })
  const [answer] = answers
  if (answer === undefined) throw new Error('the gateway ended the connection without an answer')
  return { answer, connection }
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

/**
 * Fails unless an answer is a refusal as it should be: its code, a `Status` with the audit id, one audit event that
 * tells the same, no credential in either, and an API server that saw nothing. Gives the event.
 */
export async function expectRefused(
  gateway: StagedGateway,
  answer: StreamEnd,
  { code, reason, message = '' }: Refusal,
): Promise<AuditEvent> {
  if (!('statusCode' in answer)) throw new Error(`no answer, but a reset with code ${answer.resetCode}`)
  expect(answer.statusCode, answer.body).toBe(code)
  expect(answer.headers['content-type']).toBe('application/json')
  const status = JSON.parse(answer.body) as { message: string }
  expect(status).toMatchObject({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code })
  expect(status.message).toMatch(message)
  expect(status.message).toMatch(/^[ -~…]+$/)
  const auditId = answer.headers['audit-id'] ?? ''
  expect(status.message).toContain(auditId)
  const event = await eventOf(gateway, auditId)
  expect(event.responseStatus).toMatchObject({ code })
  expect(JSON.stringify(event) + answer.body).not.toContain(gateway.token)
  expect(gateway.apiServer.seen).toEqual([])
  return event
}

/** The one event that closes the account of a request. Waits for it. */
export async function eventOf(gateway: StagedGateway, auditId: string): Promise<AuditEvent> {
  const found = async (): Promise<AuditEvent[]> =>
    (await gateway.events()).filter(({ auditID, stage }) => auditID === auditId && stage === 'ResponseComplete')
  await expect.poll(async () => (await found()).length, { timeout: 5_000 }).toBe(1)
  const [event] = await found()
  if (event === undefined) throw new Error(`no event with the audit id ${auditId}`)
  return event
}

/** Fails unless the next honest request is served, and its answer is its own. */
export async function expectServing(gateway: StagedGateway): Promise<void> {
  gateway.apiServer.seen.length = 0
  const { statusCode } = await gateway.fetch(`${DEFAULT_NAMESPACE}/pods/honest`, { agent: false })
  expect(statusCode).toBe(200)
  expect(gateway.apiServer.seen.map(({ target }) => target)).toEqual(['/api/v1/namespaces/default/pods/honest'])
  gateway.apiServer.seen.length = 0
}
