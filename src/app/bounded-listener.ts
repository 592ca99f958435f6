import { once } from 'node:events'
import type { Server as HttpServer, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** How long whoever is connected may take to ask for something, once the listener stops; as long as at the kubernetes listener. */
const FIRST_REQUEST_TIMEOUT_MS = 3_000
/** How long an answer that was cut off may take to be noted as such. */
const CUT_OFF_TIMEOUT_MS = 1_000

/** A listener of HTTP/1.1 that stops within a time, whatever its clients do. */
export class BoundedListener {
  /** The owner listens on it; {@link stop} closes it. */
  readonly server: HttpServer | HttpsServer
  readonly #drainTimeoutMs: number
  /** The TCP connections, also those whose client has said nothing yet: node's HTTP server does not count these. */
  readonly #connections = new Set<Socket>()
  readonly #answers = new Set<ServerResponse>()
  #stopping = false
  /** Whether connections are kept only as long as there is an answer under way. */
  #noticed = false

  /** @param drainTimeoutMs how long answers under way may go on after a stop was asked for. */
  constructor(server: HttpServer | HttpsServer, drainTimeoutMs: number) {
    this.server = server
    this.#drainTimeoutMs = drainTimeoutMs
    server.on('connection', (connection: Socket) => {
      this.#connections.add(connection)
      connection.once('close', () => {
        this.#connections.delete(connection)
      })
    })
    server.prependListener('request', (_request, response: ServerResponse) => {
      this.#answers.add(response)
      if (this.#stopping) response.shouldKeepAlive = false
      response.once('close', () => {
        this.#answers.delete(response)
        // Not before node has said good-bye on the connection.
        if (this.#noticed) {
          setImmediate(() => {
            this.#cutUnlessAnswering()
          })
        }
      })
    })
  }

  /**
   * Takes no more connections, lets the answers under way finish for as long as it may, then cuts off what is left. Resolves
   * when every connection is gone, and every answer over.
   */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const answer of this.#answers) if (!answer.headersSent) answer.shouldKeepAlive = false
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve()
      })
    })
    const noticed = setTimeout(
      () => {
        this.#noticed = true
        this.#cutUnlessAnswering()
      },
      Math.min(FIRST_REQUEST_TIMEOUT_MS, this.#drainTimeoutMs),
    )
    const cut = setTimeout(() => {
      this.#cut()
    }, this.#drainTimeoutMs)
    await closed
    clearTimeout(noticed)
    clearTimeout(cut)
    const over = Promise.all([...this.#answers].map((answer) => once(answer, 'close')))
    await Promise.race([over, sleep(CUT_OFF_TIMEOUT_MS, undefined, { ref: false })])
  }

  #cutUnlessAnswering(): void {
    if (this.#answers.size === 0) this.#cut()
  }

  #cut(): void {
    for (const connection of this.#connections) connection.destroy()
  }
}
