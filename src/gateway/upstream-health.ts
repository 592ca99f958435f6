import { StatusError } from '../kube/status.ts'
import type { ReadinessCheck } from './ops-server.ts'
import type { Socket } from './socket-table.ts'

const PROBE_EVERY_MS = 15_000
/** While a socket is not ready it is probed more often, so that the recovery shows soon. */
const PROBE_UNREADY_EVERY_MS = 2_000
/** After a request has failed it is probed at once, though no more often than this. */
const PROBE_SUSPECTED_EVERY_MS = 1_000
const PROBE_TIMEOUT_MS = 10_000

/** Whether the API server of a socket answers to the connector's credential, asked again and again. */
export class UpstreamHealth {
  readonly #socket: Socket
  readonly #onChange: (check: ReadinessCheck) => void
  readonly #stopped = new AbortController()
  #timer: NodeJS.Timeout | null = null
  #answeredAtMs = -Infinity
  #suspectedAtMs = -Infinity
  #check: ReadinessCheck

  constructor(socket: Socket, onChange: (check: ReadinessCheck) => void) {
    this.#socket = socket
    this.#onChange = onChange
    this.#check = { name: `socket/${socket.name}`, ready: false, reason: 'not asked yet' }
  }

  /** With what the upstream itself has to say while it works. */
  get check(): ReadinessCheck {
    const { problem = '' } = this.#socket.upstream
    return this.#check.ready ? { ...this.#check, reason: problem } : this.#check
  }

  /** Resolves with the first answer; goes on asking until {@link stop}. */
  async start(): Promise<void> {
    this.#timer = null
    const begunAtMs = performance.now()
    const reason = await this.#probe()
    if (this.#stopped.signal.aborted) return
    const before = this.#check
    this.#check = { name: before.name, ready: reason === '', reason }
    if (before.ready !== this.#check.ready || before.reason !== reason) this.#onChange(this.check)
    this.#answeredAtMs = performance.now()
    if (reason !== '') this.#schedule(PROBE_UNREADY_EVERY_MS)
    else this.#schedule(this.#suspectedAtMs >= begunAtMs ? PROBE_SUSPECTED_EVERY_MS : PROBE_EVERY_MS)
  }

  /** Asks soon: a request has failed, or the way to the API server is another one. */
  suspect(): void {
    this.#suspectedAtMs = performance.now()
    if (this.#timer === null || !this.#check.ready) return
    this.#schedule(Math.max(0, this.#answeredAtMs + PROBE_SUSPECTED_EVERY_MS - performance.now()))
  }

  stop(): void {
    this.#stopped.abort()
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.start(), delayMs).unref()
  }

  /** Why the API server does not serve; empty when it does. */
  async #probe(): Promise<string> {
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)])
    try {
      await this.#socket.upstream.probe(signal)
      return ''
    } catch (error) {
      if (error instanceof StatusError) return error.detail === '' ? error.message : `${error.message}: ${error.detail}`
      return signal.aborted ? `no answer within ${PROBE_TIMEOUT_MS / 1_000} s` : String(error)
    }
  }
}
