import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { Agent, request as requestHttps } from 'node:https'
import { type TLSSocket, connect as connectTls } from 'node:tls'
import type { StagedApiServer } from './staged-api-server.ts'
import { clientFrame, frame } from './session-bytes.ts'

const TICK_MS = 20
/** On a machine that is busy with something else the rate falls, rather than that requests pile up. */
const MAX_UNDER_WAY = 20
const KEYSTROKE_MS = 200
const EVENT_MS = 500
const BINARY = 2
/** Channels of stdin and stdout in v5.channel.k8s.io. */
const STDIN = '\x00'
const STDOUT = '\x01'
const ECHO = new RegExp(`${STDOUT}(\\d+)\n`, 'g')
const ANSWERED = '{"items":[]}'
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n'

export interface LoadOptions {
  readonly port: number
  /** PEM of those that a listener's certificate may come from. */
  readonly certificateAuthority: string
  readonly token: string
  /** Names of sockets, which are asked in turn. */
  readonly sockets: readonly string[]
  readonly requestsPerSecond: number
  readonly watches: number
  readonly sessions: number
}

/** What became of the load so far. */
export interface LoadFigures {
  requests: number
  /** Plain requests that were sent again, since the connection that they went out on was being closed just then. */
  retried: number
  /** What went wrong with each plain request that was not answered 200 with its whole body. */
  readonly failures: string[]
  readonly latenciesMs: number[]
  readonly watches: { opened: number; events: number; endedCleanly: number; readonly brokenOff: string[] }
  readonly sessions: { opened: number; echoes: number; lost: number; readonly endings: string[] }
}

/** Requests, watches and sessions at a steady rate, half over HTTP/1.1 and half over HTTP/2. What ends is opened again. */
export interface SteadyLoad {
  readonly figures: LoadFigures
  /** Resolves once every watch and every session is open. */
  readonly steady: Promise<void>
  /** Resolves when what is under way is over. */
  stop(): Promise<void>
}

/** Makes a staged API server answer as {@link startLoad} expects. Returns the function that ends its timers. */
export function answerLoad(apiServer: StagedApiServer): () => void {
  const watches = new Set<{ write(text: string): unknown }>()
  const timer = setInterval(() => {
    for (const watch of watches) watch.write('{"type":"BOOKMARK"}\n')
  }, EVENT_MS)
  apiServer.onRequest = (request, response) => {
    request.resume()
    response.writeHead(200, { 'Content-Type': 'application/json' })
    if (request.url?.includes('watch=') !== true) {
      response.end(ANSWERED)
      return
    }
    response.write('{"type":"ADDED"}\n')
    watches.add(response)
    response.once('close', () => watches.delete(response))
  }
  apiServer.onUpgrade = (_request, socket) => {
    socket.write(SWITCHED)
    // Frames of this load are small and come one at a time.
    socket.on('data', (bytes: Buffer) => {
      for (const text of unmasked(bytes)) socket.write(frame(BINARY, `${STDOUT}${text.slice(1)}`))
    })
  }
  return () => {
    clearInterval(timer)
  }
}

export function startLoad(options: LoadOptions): SteadyLoad {
  return new Load(options)
}

class Load implements SteadyLoad {
  readonly figures: LoadFigures = {
    requests: 0,
    retried: 0,
    failures: [],
    latenciesMs: [],
    watches: { opened: 0, events: 0, endedCleanly: 0, brokenOff: [] },
    sessions: { opened: 0, echoes: 0, lost: 0, endings: [] },
  }
  readonly steady: Promise<void>
  readonly #options: LoadOptions
  readonly #agent: Agent
  readonly #underWay = new Set<Promise<void>>()
  readonly #sockets = new Set<TLSSocket>()
  readonly #leave = new AbortController()
  #http2: ClientHttp2Session | null = null
  #next = 0
  #requestsUnderWay = 0
  #skipped = 0

  constructor(options: LoadOptions) {
    this.#options = options
    const { certificateAuthority: ca, watches, sessions, requestsPerSecond } = options
    this.#agent = new Agent({ ca, keepAlive: true, ALPNProtocols: ['http/1.1'] })
    const opened = [
      ...Array.from({ length: watches }, (_, index) => this.#keep((first) => this.#watch(index % 2 === 0, first))),
      ...Array.from({ length: sessions }, () => this.#keep((first) => this.#session(first))),
    ]
    this.steady = Promise.all(opened).then(() => undefined)
    const startedAtMs = performance.now()
    const timer = setInterval(() => {
      const due = ((performance.now() - startedAtMs) * requestsPerSecond) / 1_000
      for (let begun = this.figures.requests + this.#skipped; begun < due; begun += 1) {
        if (this.#requestsUnderWay >= MAX_UNDER_WAY) this.#skipped += 1
        else this.#track(this.#request(this.figures.requests++ % 2 === 0))
      }
    }, TICK_MS)
    this.#leave.signal.addEventListener('abort', () => {
      clearInterval(timer)
    })
  }

  async stop(): Promise<void> {
    this.#leave.abort()
    for (const socket of this.#sockets) socket.destroy()
    await Promise.allSettled(this.#underWay)
    this.#agent.destroy()
    this.#http2?.destroy()
  }

  get #left(): boolean {
    return this.#leave.signal.aborted
  }

  #track(work: Promise<void>): void {
    this.#underWay.add(work)
    void work.finally(() => this.#underWay.delete(work))
  }

  /** Does it again whenever it ends; resolves when it is open for the first time. */
  #keep(open: (opened: () => void) => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const again = async (): Promise<void> => {
        while (!this.#left) await open(resolve)
      }
      this.#track(again())
    })
  }

  #path(rest: string): string {
    const { sockets } = this.#options
    return `/sockets/${sockets[this.#next++ % sockets.length] ?? ''}/api/v1/namespaces/default/pods${rest}`
  }

  async #request(overHttp2: boolean): Promise<void> {
    const beganAtMs = performance.now()
    const path = this.#path('')
    let text = ''
    this.#requestsUnderWay += 1
    const receiver: Receiver = {
      opened: () => undefined,
      data: (chunk) => {
        text += String(chunk)
      },
    }
    try {
      while (!(await this.#sendOnce(overHttp2, path, receiver))) this.figures.retried += 1
      if (text !== ANSWERED) throw new Error(`answered ${text}`)
      this.figures.latenciesMs.push(performance.now() - beganAtMs)
    } catch (error) {
      this.figures.failures.push(`${overHttp2 ? 'h2' : 'h1'}: ${String(error)}`)
    } finally {
      this.#requestsUnderWay -= 1
    }
  }

  async #watch(overHttp2: boolean, opened: () => void): Promise<void> {
    const { watches } = this.figures
    try {
      const answered = await this.#sendOnce(
        overHttp2,
        this.#path('?watch=1'),
        {
          opened: () => {
            watches.opened += 1
            opened()
          },
          data: () => {
            watches.events += 1
          },
        },
        this.#leave.signal,
      )
      if (answered && !this.#left) watches.endedCleanly += 1
    } catch (error) {
      if (!this.#left) watches.brokenOff.push(`${overHttp2 ? 'h2' : 'h1'}: ${String(error)}`)
    }
  }

  /** Returns whether it was answered; if not, it can be sent again. */
  async #sendOnce(overHttp2: boolean, path: string, receiver: Receiver, leave?: AbortSignal): Promise<boolean> {
    try {
      await this.#send(overHttp2, path, receiver, leave)
      return true
    } catch (error) {
      if (error instanceof ClosedBefore) return false
      throw error
    }
  }

  /** Resolves when the answer came to its end, and was 200. The signal ends it before. */
  async #send(overHttp2: boolean, path: string, { opened, data }: Receiver, leave?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    const begin = (status: number | undefined): void => {
      if (status === 200) opened()
      else reject(new Error(`answered ${status ?? 0}`))
    }
    const authorization = `Bearer ${this.#options.token}`
    const end = (whole: boolean): void => {
      if (whole) resolve(undefined)
      else reject(new Error('broke off'))
    }
    let sent: { destroy(): unknown }
    if (overHttp2) {
      const stream = this.#session2().request({ ':path': path, authorization })
      let ended = false
      stream.on('response', (headers) => {
        begin(headers[':status'])
      })
      stream.on('data', data).on('end', () => (ended = true))
      stream.on('error', (error) => {
        reject(stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? new ClosedBefore() : error)
      })
      stream.on('close', () => {
        end(ended && stream.rstCode === 0)
      })
      sent = stream
    } else {
      const target = { host: '127.0.0.1', port: this.#options.port, path, agent: this.#agent }
      const request = requestHttps({ ...target, headers: { authorization } }).end()
      request.on('response', (response) => {
        begin(response.statusCode)
        response.on('data', data).on('error', reject)
        response.on('close', () => {
          end(response.complete)
        })
      })
      request.on('error', (error) => {
        reject(request.reusedSocket ? new ClosedBefore() : error)
      })
      sent = request
    }
    const abort = (): void => {
      sent.destroy()
    }
    leave?.addEventListener('abort', abort)
    await promise.finally(() => leave?.removeEventListener('abort', abort))
  }

  /** A connection that takes requests, as Go's client keeps one: one that got a GOAWAY takes none. */
  #session2(): ClientHttp2Session {
    if (this.#http2 === null || this.#http2.closed || this.#http2.destroyed) {
      const { port, certificateAuthority: ca } = this.#options
      this.#http2 = connectHttp2(`https://127.0.0.1:${port}`, { ca })
      this.#http2.setMaxListeners(0)
      this.#http2.on('error', () => undefined)
    }
    return this.#http2
  }

  /** Types a number every {@link KEYSTROKE_MS} and waits for it to come back. */
  async #session(opened: () => void): Promise<void> {
    const { sessions } = this.figures
    const { port, certificateAuthority: ca, token } = this.#options
    const socket = connectTls({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] })
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    const received: Buffer[] = []
    let typed = 0
    socket.write(
      `GET ${this.#path('/web/exec?command=sh&stdin=true&stdout=true')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
        'Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n',
    )
    const timer = setInterval(() => {
      if (received.length > 0 && socket.writable) socket.write(clientFrame(BINARY, `${STDIN}${typed++}\n`))
    }, KEYSTROKE_MS)
    socket.on('data', (bytes: Buffer) => {
      if (received.length === 0 && String(bytes).startsWith('HTTP/1.1 101 ')) {
        sessions.opened += 1
        opened()
      }
      received.push(bytes)
    })
    await once(socket, 'close').catch(() => undefined)
    clearInterval(timer)
    this.#sockets.delete(socket)
    const text = Buffer.concat(received).toString('latin1')
    const echoed = [...text.matchAll(ECHO)].map(([, number]) => Number(number))
    sessions.echoes += echoed.length
    // What was typed last may still have been on its way.
    for (const [index, number] of echoed.entries()) if (number !== index) sessions.lost += 1
    if (!this.#left)
      sessions.endings.push(/"message":"([^"]*)"/.exec(text)?.[1] ?? `without a word: ${text.slice(0, 40)}`)
  }
}

interface Receiver {
  /** The answer began, with 200. */
  readonly opened: () => void
  readonly data: (chunk: Buffer | string) => void
}

/**
 * A connection that was idle was closed while a request was on its way, or its GOAWAY says that the request was not looked
 * at: what Go's client sends again on another connection (RFC 9112 section 9.3.1, RFC 9113 section 8.7).
 */
class ClosedBefore extends Error {
  override readonly name = 'ClosedBefore'
}

/** Payloads of small masked frames. */
function* unmasked(bytes: Buffer): Generator<string> {
  for (let at = 0; at + 6 <= bytes.length;) {
    const length = (bytes[at + 1] ?? 0) & 0x7f
    const key = bytes.subarray(at + 2, at + 6)
    const payload = bytes.subarray(at + 6, at + 6 + length).map((byte, index) => byte ^ (key[index % 4] ?? 0))
    if (((bytes[at] ?? 0) & 0x0f) === BINARY) yield Buffer.from(payload).toString('latin1')
    at += 6 + length
  }
}

/** One line for people. */
export function renderFigures({ requests, retried, failures, latenciesMs, watches, sessions }: LoadFigures): string {
  const sorted = latenciesMs.toSorted((a, b) => a - b)
  const percentile = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(0)
  return (
    `${requests} requests, ${failures.length} failed, ${retried} sent again, p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms, longest ${percentile(1)} ms; ` +
    `watches opened ${watches.opened}, ended cleanly ${watches.endedCleanly}, broken off ${watches.brokenOff.length}; ` +
    `sessions opened ${sessions.opened}, ended ${sessions.endings.length}, keystrokes ${sessions.echoes}, lost ${sessions.lost}`
  )
}
