import { IncomingMessage, type ServerResponse } from 'node:http'
import {
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  constants,
  createSecureServer,
} from 'node:http2'
import { Server as TcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket, TlsOptions } from 'node:tls'
import type { PresentedCertificate } from '../identity/presented-certificate.ts'
import { headerValues } from '../kube/raw-headers.ts'
import { type Status, failure } from '../kube/status.ts'
import type { Gateway, Arrival } from './gateway.ts'
import { Http1Reply } from './http1-reply.ts'
import { Http2Reply } from './http2-reply.ts'
import type { GatewayLimits } from './limits.ts'
import type { LiveStream } from './live-streams.ts'
import { connectorStopping } from './session-endings.ts'

/** More header lines than this are not even kept to be counted. */
const MAX_HEADER_LINES = 200
/** Bound of what an HTTP/2 session may hold, in megabytes. */
const MAX_SESSION_MEMORY_MB = 16
const KEEP_ALIVE_PROBE_MS = 30_000
/** How long clients may take to read the GOAWAY of an HTTP/2 connection, before it is closed once it is idle. */
const NOTICE_TIMEOUT_MS = 1_000
/**
 * How long idle HTTP/1.1 connections are kept. Their clients learn only from their next answer that it is the last there, and
 * cannot send again what changes something, so that those that ask at all shall ask before.
 */
const LAST_ANSWER_TIMEOUT_MS = 3_000
/**
 * In a GOAWAY: those requests are served that came so far. The highest id of all, which RFC 9113 section 6.8 asks for first,
 * would be a promise that nghttp2 does not keep: it ignores what comes behind a GOAWAY of `goaway()`, so that the client would wait
 * for it. Given the true id, clients send again at once what crossed it.
 *
 * @see nghttp2 lib/nghttp2_session.c, session_allow_incoming_new_stream; only nghttp2_submit_shutdown_notice, which Node lacks, differs
 */
const LAST_STREAM_SO_FAR = 0
/** How long clients may take to read why their session ends, when the time to drain is over. */
const FAREWELL_TIMEOUT_MS = 1_000
/** How often slow requests are looked for, at the least. */
const SLOW_REQUESTS_CHECKED_EVERY_MS = 5_000

export interface KubernetesListenerOptions {
  readonly gateway: Gateway
  readonly limits: GatewayLimits
  /** What the listener proves its names with. TLS 1.2 or later, without renegotiation. */
  readonly tls: TlsOptions
}

/** The request that an HTTP/1.1 connection is busy with. */
interface Answering {
  /** Serves the request that was sent behind it, which waits. */
  next: (() => void) | null
}

/**
 * The door to the Kubernetes API: TLS, HTTP/2 and HTTP/1.1 on one port, and three doors into one pipeline:
 * `request`, `upgrade` and the stream of an HTTP/2 session.
 */
export class KubernetesListener {
  readonly #gateway: Gateway
  readonly #limits: GatewayLimits
  /** The owner listens on it; {@link stop} closes it. */
  readonly server: Http2SecureServer
  readonly #connections = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #answering = new WeakMap<Duplex, Answering>()
  readonly #certificates = new WeakMap<object, PresentedCertificate | null>()
  /** HTTP/1.1 responses under way. */
  readonly #responses = new Set<ServerResponse>()
  #stopping = false
  /** Whether connections are closed as soon as they are idle. */
  #noticed = false

  constructor(options: KubernetesListenerOptions) {
    this.#gateway = options.gateway
    this.#limits = options.limits
    this.server = createSecureServer({
      ...http1Options(options.limits),
      ...options.tls,
      allowHTTP1: true,
      handshakeTimeout: this.#limits.requestHeadTimeoutMs,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: {
        maxConcurrentStreams: this.#limits.maxConcurrentStreams,
        maxHeaderListSize: this.#limits.maxHeaderBytes,
        enablePush: false,
      },
    })
    this.#listen(this.server)
  }

  get openConnections(): number {
    return this.#connections.size
  }

  /**
   * Takes no more connections, tells clients so, ends watches, and lets the rest finish for as long as the limits grant;
   * then cuts off what is left. Resolves when every connection is gone.
   */
  async stop(): Promise<void> {
    this.#stopping = true
    const closed = new Promise<void>((resolve) => {
      // Its own close() would also close connections that a request is on its way to.
      TcpServer.prototype.close.call(this.server, () => {
        resolve()
      })
    })
    for (const response of this.#responses) if (!response.headersSent) response.shouldKeepAlive = false
    for (const session of this.#sessions) announceEnd(session)
    // Over HTTP/1.1 many come again at once on the same connection, and learn from the answer that it is the last there.
    this.#endStreams('watch')
    const { drainTimeoutMs } = this.#limits
    const notice = setTimeout(
      () => {
        this.#endStreams('watch')
        for (const session of this.#sessions) session.close()
      },
      Math.min(NOTICE_TIMEOUT_MS, drainTimeoutMs),
    )
    const idle = setTimeout(
      () => {
        this.#noticed = true
        this.#endStreams('watch')
        this.server.close()
      },
      Math.min(LAST_ANSWER_TIMEOUT_MS, drainTimeoutMs),
    )
    let cut = setTimeout(() => {
      this.#endStreams('session')
      cut = setTimeout(() => {
        // First the connections: a reset of each stream would say less than the GOAWAY did.
        for (const connection of this.#connections) connection.destroy()
        this.#gateway.streams.end(connectorStopping)
      }, FAREWELL_TIMEOUT_MS)
    }, drainTimeoutMs)
    await closed
    this.server.close()
    clearTimeout(notice)
    clearTimeout(idle)
    clearTimeout(cut)
    await this.#gateway.settled()
  }

  #endStreams(kind: LiveStream['kind']): void {
    this.#gateway.streams.end((stream) => (stream.kind === kind ? connectorStopping() : null))
  }

  #listen(server: Http2SecureServer): void {
    server.maxConnections = this.#limits.maxConnections
    Object.assign(server, { maxHeadersCount: MAX_HEADER_LINES })

    // A listener of `request` makes node wrap every HTTP/2 stream in a request and a response as well; streams
    // have a door of their own here. #request ignores them should that hook ever have another name.
    server.removeAllListeners('newListener')
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#request(request, response, false)
    })
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      this.#request(request, response, true)
    })
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      this.#request(request, response, false)
    })
    for (const event of ['upgrade', 'connect']) {
      server.on(event, (request: IncomingMessage, client: Duplex, early: Buffer) => {
        this.#upgrade(request, client, early)
      })
    }
    server.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, rawHeaders: string[]) => {
      this.#stream(stream, rawHeaders)
    })
    server.on('connection', (connection: Socket) => {
      this.#connections.add(connection)
      connection.once('close', () => {
        this.#connections.delete(connection)
      })
    })
    server.on('session', (session) => {
      this.#session(session)
    })
    server.on('clientError', (error: Error & { code?: string }, client: Socket) => {
      this.#unreadable(error, client)
    })
    // The peer's mistake, and the connection is gone already.
    server.on('sessionError', () => undefined)
    server.on('tlsClientError', () => undefined)
  }

  /**
   * One request at a time on an HTTP/1.1 connection: what is sent behind one waits until that is answered, so that
   * it is never served on a connection that the answer closes. Whoever sends more ahead loses the connection.
   */
  #request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    if (!(request instanceof IncomingMessage)) return
    const { socket } = request
    const before = this.#answering.get(socket)
    if (before !== undefined) {
      if (before.next !== null) socket.destroy()
      before.next = () => {
        this.#request(request, response, expectsContinue)
      }
      return
    }
    const answering: Answering = { next: null }
    this.#answering.set(socket, answering)
    response.once('close', () => {
      this.#answering.delete(socket)
      if (socket.writable) answering.next?.()
    })
    this.#responses.add(response)
    if (this.#stopping) response.shouldKeepAlive = false
    response.once('close', () => {
      this.#responses.delete(response)
      if (this.#noticed) request.socket.destroySoon()
    })
    const reply = new Http1Reply(request, response, expectsContinue)
    void this.#gateway.serve('request', this.#http1Head(request), request, reply)
  }

  #upgrade(request: IncomingMessage, client: Duplex, early: Buffer): void {
    client.on('error', () => {
      client.destroy()
    })
    if (this.#answering.has(client)) client.destroy()
    else void this.#gateway.serveUpgrade(this.#http1Head(request), client, early)
  }

  /**
   * Bytes that are no request, or not the whole of one in time. What follows the first such bytes is thrown away.
   * While a request is under way they get no answer, which would be taken for that one's; only a refusal of it that is
   * on its way still gets out.
   */
  #unreadable(error: Error & { code?: string }, client: Socket): void {
    if (client.writableEnded) return
    if (!client.writable || error.code === 'ECONNRESET') client.destroy()
    else if (this.#answering.has(client)) setImmediate(endSoon, client)
    else this.#gateway.refuseUnreadable(statusOfUnreadable(error.code), client.remoteAddress ?? '', client)
  }

  #stream(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    stream.on('error', () => undefined)
    const { expectsContinue, ...request } = http2Head(rawHeaders)
    const reply = new Http2Reply(stream, { expectsContinue, bodyless: request.method === 'HEAD' })
    const { session } = stream
    const peer = session?.socket.remoteAddress ?? ''
    const certificate = session === undefined ? null : this.#certificateOf(session, session.socket)
    const head = { ...request, peer, certificate, bodyFollows: !stream.endAfterHeaders }
    if (head.bodyFollows) endWithoutBody(stream, this.#limits.requestBodyTimeoutMs)
    void this.#gateway.serve('stream', head, stream, reply)
  }

  #http1Head(request: IncomingMessage): Arrival {
    return { ...http1Head(request), certificate: this.#certificateOf(request.socket, request.socket) }
  }

  /** Read once for each connection; `connection` is what lasts as long as it does. */
  #certificateOf(connection: object, socket: Socket | TLSSocket): PresentedCertificate | null {
    const known = this.#certificates.get(connection)
    if (known !== undefined) return known
    const presented = presentedCertificate(socket as TLSSocket)
    this.#certificates.set(connection, presented)
    return presented
  }

  #session(session: ServerHttp2Session): void {
    this.#sessions.add(session)
    // What the connection was opened for is still served.
    if (this.#stopping) {
      session.once('stream', () => {
        announceEnd(session)
      })
    }
    let open = 0
    // Counted from the last request, not the last frame: pings, or a head that never ends, do not keep a session.
    const idle = setTimeout(() => {
      if (open === 0) session.destroy()
    }, this.#limits.idleConnectionTimeoutMs)
    idle.unref()
    session.on('stream', (stream) => {
      open += 1
      stream.once('close', () => {
        open -= 1
        if (open === 0 && !session.destroyed) idle.refresh()
      })
    })
    session.once('close', () => {
      clearTimeout(idle)
      this.#sessions.delete(session)
    })
  }
}

/**
 * Asks the client to take another connection for what it has not sent yet, and says why: Go's client, and so kubectl, shows
 * that for what is still open when the connection closes, such as a followed log.
 */
function announceEnd(session: ServerHttp2Session): void {
  if (session.destroyed) return
  session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_SO_FAR, Buffer.from(connectorStopping().message))
}

/** What node takes for the HTTP/1.1 side of such a server, though its types do not say so. */
function http1Options(limits: GatewayLimits) {
  return {
    maxHeaderSize: limits.maxHeaderBytes,
    // Whether there is a Host is the gateway's to say, so that the refusal is a Status and leaves an event.
    requireHostHeader: false,
    headersTimeout: limits.requestHeadTimeoutMs,
    requestTimeout: Math.max(limits.requestHeadTimeoutMs, limits.requestBodyTimeoutMs),
    connectionsCheckingInterval: Math.min(limits.requestHeadTimeoutMs, SLOW_REQUESTS_CHECKED_EVERY_MS),
    keepAliveTimeout: limits.idleConnectionTimeoutMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
  }
}

/** Null when the client was not asked, or had none. */
function presentedCertificate(socket: TLSSocket): PresentedCertificate | null {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return null
  const { authorized, authorizationError } = socket
  return { certificate, problem: authorized ? '' : String(authorizationError) }
}

function http1Head(request: IncomingMessage): Omit<Arrival, 'certificate'> {
  const { headers } = request
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    authority: headers.host ?? '',
    headers: request.rawHeaders,
    peer: request.socket.remoteAddress ?? '',
    bodyFollows: headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0',
    fault: http1Fault(request),
  }
}

/** HTTP/1.0 has no chunks, no upgrade and no Host that it must name; llhttp reads 0.9 and 2.0 as well. */
function http1Fault({ httpVersion, headers }: IncomingMessage): string {
  if (httpVersion !== '1.1') return `HTTP/${httpVersion} is not spoken here; HTTP/1.1 and HTTP/2 are`
  return headers.host === undefined ? 'the request has no Host header' : ''
}

/** Pseudo headers come first (RFC 9113 8.3), which nghttp2 has checked. */
function http2Head(rawHeaders: readonly string[]) {
  const head = { method: '', target: '', authority: '', expectsContinue: false }
  const headers: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    if (name === ':method') head.method = value
    else if (name === ':path') head.target = value
    else if (name === ':authority') head.authority = value
    else if (!name.startsWith(':')) headers.push(name, value)
    if (name === 'expect' && value.toLowerCase() === '100-continue') head.expectsContinue = true
  }
  return { ...head, headers, fault: http2Fault(head.authority, headers) }
}

/** A `host` beside `:authority` must say the same (RFC 9113 section 8.3.1). */
function http2Fault(authority: string, headers: readonly string[]): string {
  if (authority === '') return 'the request has no :authority'
  const agrees = headerValues(headers, 'host').every((host) => host.toLowerCase() === authority.toLowerCase())
  return agrees ? '' : 'the :authority and the Host header name different hosts'
}

/** HTTP/2's own bound on the time that a body takes; node has one for HTTP/1.1 only. */
function endWithoutBody(stream: ServerHttp2Stream, timeoutMs: number): void {
  const timer = setTimeout(() => {
    stream.destroy(new Error('the request body did not arrive in time'))
  }, timeoutMs)
  timer.unref()
  const clear = (): void => {
    clearTimeout(timer)
  }
  stream.once('end', clear)
  stream.once('close', clear)
}

/** Ends a connection once what was written has gone out. */
function endSoon(client: Socket): void {
  client.destroySoon()
}

/** llhttp says in the error's code why bytes are no request. */
function statusOfUnreadable(code: string | undefined): Status {
  if (code === 'HPE_HEADER_OVERFLOW')
    return failure(431, 'BadRequest', 'the request head is too large, as with a token of very many groups')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return failure(408, 'Timeout', 'the request did not arrive in time')
  return failure(400, 'BadRequest', 'the request is not well-formed HTTP/1.1')
}
