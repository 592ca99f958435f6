import { StatusError } from '../kube/status.ts'
import { REVIEWED_NAMESPACE, ownRights } from '../upstream/own-rights.ts'
import type { ReadinessCheck } from './ops-server.ts'
import type { Socket } from './socket-table.ts'

const PROBE_EVERY_MS = 15_000
/** While a socket is not ready it is probed more often, so that the recovery shows soon. */
const PROBE_UNREADY_EVERY_MS = 2_000
/** After a request has failed it is probed at once, though no more often than this. */
const PROBE_SUSPECTED_EVERY_MS = 1_000
const PROBE_TIMEOUT_MS = 10_000

interface Answer {
  readonly ready: boolean
  readonly reason: string
}

/** Whether the API server of a socket answers to the connector's credential, and lets it do anything; asked again and again. */
export class UpstreamHealth {
  readonly #socket: Socket
  readonly #onChange: (check: ReadinessCheck) => void
  readonly #stopped = new AbortController()
  #timer: NodeJS.Timeout | null = null
  #answeredAtMs = -Infinity
  #suspectedAtMs = -Infinity
  /** Null until it was asked. */
  #answer: Answer | null = null

  constructor(socket: Socket, onChange: (check: ReadinessCheck) => void) {
    this.#socket = socket
    this.#onChange = onChange
  }

  /**
   * With what the upstream itself has to say while it works. Until the API server was asked once, the connector is not
   * ready: a new one, which replaces another, does not serve before it knows what it can.
   */
  get check(): ReadinessCheck {
    const name = `socket/${this.#socket.name}`
    if (this.#answer === null) return { name, ready: false, reason: 'not asked yet' }
    const { ready, reason } = this.#answer
    const { problem = '' } = this.#socket.upstream
    const reasons = ready ? [reason, problem].filter((each) => each !== '').join('; ') : reason
    return { name, ready, reason: reasons, oneOf: 'sockets' }
  }

  /** Resolves with the first answer; goes on asking until {@link stop}. */
  async start(): Promise<void> {
    this.#timer = null
    const begunAtMs = performance.now()
    const answer = await this.#ask()
    if (this.#stopped.signal.aborted) return
    const before = this.#answer ?? { ready: false, reason: '' }
    this.#answer = answer
    if (before.ready !== answer.ready || before.reason !== answer.reason) this.#onChange(this.check)
    this.#answeredAtMs = performance.now()
    if (!answer.ready) this.#schedule(PROBE_UNREADY_EVERY_MS)
    else this.#schedule(this.#suspectedAtMs >= begunAtMs ? PROBE_SUSPECTED_EVERY_MS : PROBE_EVERY_MS)
  }

  /** Asks soon: a request has failed, or the way to the API server is another one. */
  suspect(): void {
    this.#suspectedAtMs = performance.now()
    if (this.#timer === null || this.#answer?.ready !== true) return
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

  async #ask(): Promise<Answer> {
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)])
    try {
      await this.#socket.upstream.probe(signal)
      return await this.#rights(signal)
    } catch (error) {
      if (error instanceof StatusError) {
        return { ready: false, reason: error.detail === '' ? error.message : `${error.message}: ${error.detail}` }
      }
      return { ready: false, reason: signal.aborted ? `no answer within ${PROBE_TIMEOUT_MS / 1_000} s` : String(error) }
    }
  }

  /** Whether a credential that the API server knows is good for anything, as far as the cluster tells. */
  async #rights(signal: AbortSignal): Promise<Answer> {
    const rights = await ownRights(this.#socket.upstream, this.#socket.forwardAs, signal)
    if (rights !== null && this.#socket.forwardAs === 'subject' && !rights.impersonate) {
      return {
        ready: false,
        reason: 'the cluster does not let the connector act as anybody: it lacks the verb impersonate',
      }
    }
    if (rights !== null && !rights.any) {
      const where = `across namespaces or in the namespace ${REVIEWED_NAMESPACE}`
      return { ready: true, reason: `the credential of the connector has no rights ${where}; look at its bindings` }
    }
    return { ready: true, reason: '' }
  }
}
