import type { SocketConstructorOpts } from 'node:net'
import { checkServerIdentity, connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { type Endpoint, serverNameIndication } from './endpoint.ts'
import type { UpstreamLimits } from './upstream-limits.ts'

/** Silence on a connection after which TCP asks whether the peer is there, in milliseconds. */
const KEEP_ALIVE_DELAY_MS = 30_000

/** How the owner of a connection reads it. Node takes `onread` here too, which the type of `tls.connect` leaves out. */
export type Reading = Pick<SocketConstructorOpts, 'onread' | 'allowHalfOpen'>

/**
 * Opens TLS connections to one API server, resuming the last session where the server lets it.
 *
 * A connection whose certificate does not hold, or that takes longer than the limits say, is destroyed with an
 * error. Nothing may be written before `secureConnect`.
 */
export class Dialer {
  readonly #options: ConnectionOptions
  readonly #limits: UpstreamLimits
  /** Only of connections whose server was verified: a resumed session is not verified again. */
  #session: Buffer | undefined

  constructor(endpoint: Endpoint, limits: UpstreamLimits) {
    this.#limits = limits
    this.#options = {
      host: endpoint.host,
      port: endpoint.port,
      servername: serverNameIndication(endpoint),
      secureContext: endpoint.secureContext,
      rejectUnauthorized: true,
      checkServerIdentity: (_host, certificate) => checkServerIdentity(endpoint.serverName, certificate),
      ALPNProtocols: ['http/1.1'],
    }
  }

  dial(reading: Reading): TLSSocket {
    const { connectTimeoutMs, handshakeTimeoutMs } = this.#limits
    const session = this.#session === undefined ? {} : { session: this.#session }
    const socket = connect({ ...this.#options, ...session, ...reading })
    const expire = (what: string, timeoutMs: number): NodeJS.Timeout =>
      setTimeout(() => {
        socket.destroy(new Error(`no ${what} within ${timeoutMs} ms`))
      }, timeoutMs).unref()
    let timer = expire('TCP connection', connectTimeoutMs)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.setNoDelay(true)
      socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS)
      timer = expire('TLS handshake', handshakeTimeoutMs)
    })
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      if (socket.getProtocol() === 'TLSv1.2') this.#session = socket.getSession()
      // In TLS 1.3 the ticket comes after the handshake.
      socket.on('session', (ticket) => {
        this.#session = ticket
      })
    })
    socket.once('close', () => {
      clearTimeout(timer)
    })
    return socket
  }
}
