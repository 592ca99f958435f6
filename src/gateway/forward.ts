import type { Readable } from 'node:stream'
import type { AuditEntry } from '../audit/audit-trail.ts'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { isLongRunning } from '../kube/long-running.ts'
import type { Status } from '../kube/status.ts'
import type { UpstreamExchange, UpstreamRequest } from '../upstream/upstream.ts'
import type { ChunkPool } from './chunk-pool.ts'
import type { LiveStream, LiveStreams } from './live-streams.ts'
import type { LoginExpiry } from './login-expiry.ts'
import { refuseCredentialFailure } from './credential-failure.ts'
import { relayRedirect } from './redirect.ts'
import type { Reply } from './reply.ts'
import { refuse } from './respond.ts'
import type { Authorized } from './stages.ts'
import { requestToUpstream, responseToClient } from './upstream-request.ts'

/** Code in the audit event of a request whose client left before the answer was whole. */
export const CLIENT_CLOSED_REQUEST = 499

export interface ForwardContext {
  readonly streams: LiveStreams
  readonly logins: LoginExpiry
  readonly chunks: ChunkPool
  /** Does not hold for what runs long. */
  readonly responseHeadTimeoutMs: number
  /** Told why a request failed that had been admitted. */
  readonly onFailure: (error: unknown, audit: AuditEntry) => void
}

/**
 * Sends an authorized request to its upstream and streams both ways. Nothing is kept back: the head goes
 * out when it comes in. Whoever ends early ends the other side too. The audit entry is completed here.
 *
 * @throws StatusError when the headers cannot be forwarded; nothing was sent upstream then.
 */
export function forward(authorized: Authorized, body: Readable, reply: Reply, context: ForwardContext): void {
  const request = requestToUpstream(authorized, context.responseHeadTimeoutMs)
  if (reply.closed) {
    authorized.authenticated.audit.complete({ code: CLIENT_CLOSED_REQUEST })
    return
  }
  new Forwarding(authorized, request, body, reply, context).start()
}

class Forwarding implements LiveStream {
  readonly authorized: Authorized
  readonly kind: LiveStream['kind']
  readonly #request: UpstreamRequest
  readonly #body: Readable
  readonly #reply: Reply
  readonly #context: ForwardContext
  #exchange: UpstreamExchange | null = null
  #statusCode = 0
  #bodyEnded: boolean
  #over = false
  #forget: (() => void) | null = null

  constructor(authorized: Authorized, request: UpstreamRequest, body: Readable, reply: Reply, context: ForwardContext) {
    this.authorized = authorized
    this.kind = authorized.authenticated.request.requestInfo.verb === 'watch' ? 'watch' : 'stream'
    this.#request = request
    this.#body = body
    this.#reply = reply
    this.#context = context
    this.#bodyEnded = request.bodyLength === 0
  }

  start(): void {
    const exchange = this.authorized.authenticated.socket.upstream.send(
      this.#request,
      {
        head: (statusCode, headers) => {
          this.#head(statusCode, headers)
        },
        data: (chunk) => {
          const { bytes, release } = this.#context.chunks.copy(chunk)
          return this.#reply.write(bytes, release)
        },
        end: () => {
          this.#end()
        },
        error: (error) => {
          this.#fail(error)
        },
      },
      () => {
        this.#body.resume()
      },
    )
    this.#exchange = exchange
    this.#reply.onDrain(() => {
      exchange.resume()
    })
    this.#reply.onClose(() => {
      this.#clientClosed()
    })
    if (!this.#bodyEnded) this.#sendBody(exchange)
    else this.#body.resume()
  }

  /** Ends a long-running response. A watch ends cleanly: its client asks again and meets what then holds. */
  end(status: Status): void {
    if (this.#over) return
    if (this.kind === 'watch') {
      this.#finish(this.#statusCode)
      this.#reply.end()
    } else {
      this.#finish(this.#statusCode, `the response was broken off: ${status.message}`)
      this.#reply.destroy()
    }
    this.#exchange?.abort()
  }

  #sendBody(exchange: UpstreamExchange): void {
    const body = this.#body
    body.on('data', (chunk: Buffer) => {
      if (!this.#over && !exchange.write(chunk)) body.pause()
    })
    body.once('end', () => {
      this.#bodyEnded = true
      if (!this.#over) exchange.end()
    })
    body.once('error', () => {
      this.#clientClosed()
    })
    this.#reply.continue()
  }

  #head(statusCode: number, upstreamHeaders: RawHeaders): void {
    this.#statusCode = statusCode
    try {
      refuseCredentialFailure(this.authorized, statusCode)
      const headers = relayRedirect(this.authorized, statusCode, responseToClient(this.authorized, upstreamHeaders))
      if (!this.#bodyEnded) this.#reply.leaveBodyUnread()
      this.#reply.head(statusCode, headers)
    } catch (error) {
      this.#fail(error)
      return
    }
    const { audit, request, authentication } = this.authorized.authenticated
    if (isLongRunning(request.requestInfo)) {
      audit.started(statusCode)
      const forget = this.#context.streams.add(this)
      const callOff = this.#context.logins.watch(authentication, (status) => {
        this.end(status)
      })
      this.#forget = () => {
        forget()
        callOff()
      }
    }
  }

  #end(): void {
    if (this.#over) return
    this.#finish(this.#statusCode)
    if (this.#bodyEnded) this.#reply.end()
    else this.#reply.endUnread()
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#forget?.()
    this.#exchange?.abort()
    const { audit } = this.authorized.authenticated
    this.#context.onFailure(error, audit)
    if (this.#reply.headSent) audit.complete({ code: this.#statusCode, message: 'the response broke off' })
    refuse(this.#reply, error, audit, !this.#bodyEnded)
  }

  #clientClosed(): void {
    if (this.#over) return
    this.#exchange?.abort()
    this.#finish(this.#statusCode === 0 ? CLIENT_CLOSED_REQUEST : this.#statusCode)
  }

  #finish(code: number, message?: string): void {
    this.#over = true
    this.#forget?.()
    this.authorized.authenticated.audit.complete({ code, ...(message !== undefined && { message }) })
  }
}
