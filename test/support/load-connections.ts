import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { Agent, request as requestHttps } from 'node:https'

/** As many connections of each protocol are kept and used again by plain requests. */
const HTTP1_CONNECTIONS = 10
const HTTP2_CONNECTIONS = 5

/** The protocol, and whether on a connection of its own, as the first request of a kubectl goes out. */
export type Way = 'h1' | 'h2' | 'h1 anew' | 'h2 anew'

export interface LoadRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: string
}

export interface Receiver {
  /** The answer began, with 200 or 201. */
  readonly opened: () => void
  readonly data: (chunk: string) => void
}

/**
 * A connection that was idle was closed while a request was on its way, or its GOAWAY says that the request was not looked
 * at: what Go's client sends again on another connection (RFC 9112 section 9.3.1, RFC 9113 section 8.7).
 */
export class ClosedBefore extends Error {
  override readonly name = 'ClosedBefore'
}

export interface LoadTarget {
  readonly port: number
  /** PEM of those that a listener's certificate may come from. */
  readonly certificateAuthority: string
  readonly token: string
}

/** The client's side of plain requests and watches: what Go's HTTP client makes of connections that end, over Node's. */
export class LoadConnections {
  /** How often the other side asked for another connection. */
  readonly told = { connectionClose: 0, goaway: 0 }
  readonly #target: LoadTarget
  readonly #plain: Agent
  readonly #watches: Agent
  readonly #sessions: ClientHttp2Session[] = []
  #next = 0

  constructor(target: LoadTarget) {
    this.#target = target
    const options = { ca: target.certificateAuthority, keepAlive: true, ALPNProtocols: ['http/1.1'] }
    this.#plain = new Agent({ ...options, maxSockets: HTTP1_CONNECTIONS })
    this.#watches = new Agent(options)
  }

  /**
   * Resolves when the answer has come to its end, whole. The signal ends it before.
   *
   * @throws ClosedBefore when it can be sent again.
   */
  async send(way: Way, request: LoadRequest, receiver: Receiver, signal: AbortSignal): Promise<void> {
    if (way === 'h2') await this.#sendHttp2(this.#session(), request, receiver, signal)
    else if (way === 'h1') await this.#sendHttp1(this.#plain, request, receiver, signal)
    else if (way === 'h1 anew') {
      const agent = new Agent({ ca: this.#target.certificateAuthority, ALPNProtocols: ['http/1.1'] })
      await this.#sendHttp1(agent, request, receiver, signal)
    } else {
      const session = this.#connect()
      await this.#sendHttp2(session, request, receiver, signal).finally(() => {
        session.destroy()
      })
    }
  }

  /** Likewise; over HTTP/1.1 no plain request has to wait for it. */
  async watch(way: 'h1' | 'h2', path: string, receiver: Receiver, signal: AbortSignal): Promise<void> {
    const request: LoadRequest = { method: 'GET', path, body: '' }
    if (way === 'h1') await this.#sendHttp1(this.#watches, request, receiver, signal)
    else await this.#sendHttp2(this.#session(), request, receiver, signal)
  }

  close(): void {
    this.#plain.destroy()
    this.#watches.destroy()
    for (const session of this.#sessions) session.destroy()
  }

  #sendHttp1(
    agent: Agent,
    { method, path, body }: LoadRequest,
    receiver: Receiver,
    signal: AbortSignal,
  ): Promise<void> {
    const { port, token } = this.#target
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const request = requestHttps({ host: '127.0.0.1', port, path, method, agent, headers, signal })
      request.on('response', (response) => {
        // An agent that keeps nothing asks for the end of the connection itself.
        if (agent.options.keepAlive === true && response.headers.connection === 'close') this.told.connectionClose += 1
        if (isSuccess(response.statusCode)) receiver.opened()
        else reject(new Error(`answered ${response.statusCode ?? 0}`))
        response.setEncoding('utf8').on('data', receiver.data).on('error', reject)
        response.on('close', () => {
          if (response.complete) resolve()
          else reject(new Error('broke off'))
        })
      })
      request.on('error', (error) => {
        const isLeft = method === 'GET' && request.reusedSocket && !signal.aborted
        reject(isLeft ? new ClosedBefore() : error)
      })
      request.end(body)
    })
  }

  #sendHttp2(
    session: ClientHttp2Session,
    { method, path, body }: LoadRequest,
    receiver: Receiver,
    signal: AbortSignal,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const headers = { ':method': method, ':path': path, authorization: `Bearer ${this.#target.token}` }
      const stream = session.request(headers, { endStream: body === '', signal })
      let ended = false
      stream.on('response', ({ ':status': status }) => {
        if (isSuccess(status)) receiver.opened()
        else reject(new Error(`answered ${status ?? 0}`))
      })
      stream.setEncoding('utf8').on('data', receiver.data)
      stream.on('end', () => (ended = true))
      stream.on('error', (error: Error) => {
        reject(stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? new ClosedBefore() : error)
      })
      stream.on('close', () => {
        if (ended && stream.rstCode === 0) resolve()
        else reject(new Error('broke off'))
      })
      if (body !== '') stream.end(body)
    })
  }

  /** One of those that take requests: one that got a GOAWAY takes none. */
  #session(): ClientHttp2Session {
    const index = this.#next++ % HTTP2_CONNECTIONS
    const kept = this.#sessions[index]
    if (kept !== undefined && !kept.closed && !kept.destroyed) return kept
    const session = this.#connect()
    session.once('goaway', () => (this.told.goaway += 1))
    this.#sessions[index] = session
    return session
  }

  #connect(): ClientHttp2Session {
    const { port, certificateAuthority: ca } = this.#target
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca })
    session.setMaxListeners(0)
    // Each of its streams tells.
    session.on('error', () => undefined)
    return session
  }
}

function isSuccess(statusCode: number | undefined): boolean {
  return statusCode === 200 || statusCode === 201
}
