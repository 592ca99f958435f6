import type { Duplex } from 'node:stream'
import type { SessionFacts } from '../audit/recording/session-facts.ts'
import type { SessionRecorder } from '../audit/recording/session-recorder.ts'
import { type SessionDecoder, UndecodableError } from '../kube/session/session-decoder.ts'
import type { Status } from '../kube/status.ts'
import type { ChunkPool } from './chunk-pool.ts'
import { after } from './deadline.ts'
import { closeAfterLastBytes } from './last-bytes.ts'
import type { LiveSession } from './live-streams.ts'
import { recordingFailed, sessionIdle, sessionTooLong, sessionUndecodable } from './session-endings.ts'
import type { SessionActivity } from './session-activity.ts'
import type { Authorized } from './stages.ts'
import type { YoungGarbage } from './young-garbage.ts'

/** How long the rest of a frame may take to pass before an ending is put behind it, in milliseconds. */
const BOUNDARY_TIMEOUT_MS = 1_000
/** How long a client that was told the ending may take to close its side before this one is closed, in milliseconds. */
const FAREWELL_TIMEOUT_MS = 1_000
/** How long a client that was told the ending may take to close its side, in milliseconds. */
const CLOSE_TIMEOUT_MS = 2_000

/** What a session is made of. Both sockets and the recorder are the session's to end. */
export interface SessionParts {
  readonly authorized: Authorized
  readonly facts: SessionFacts
  /** The client's side, behind the 101. */
  readonly client: Duplex
  /** The API server's side, behind its 101, and paused. */
  readonly upstream: Duplex
  readonly decoder: SessionDecoder
  readonly activity: SessionActivity
  /** Null when the session is not recorded. */
  readonly recorder: SessionRecorder | null
  /** Told of what leaves garbage of its own size: what the client sends, and what is recorded. */
  readonly garbage: YoungGarbage
  readonly chunks: ChunkPool
  /** Told once, when both sides are closed: why the gateway ended it, or an empty text. */
  readonly onClosed: (endedBy: string) => void
}

/**
 * An exec, attach or port-forward from its 101 to its close. Raw bytes are relayed both ways, as they come. The decoder
 * reads each chunk before it is relayed, so that nothing passes a session that must be recorded and cannot be.
 */
export class Session implements LiveSession {
  readonly kind = 'session'
  readonly authorized: Authorized
  readonly facts: SessionFacts
  readonly #client: Duplex
  readonly #upstream: Duplex
  readonly #activity: SessionActivity
  readonly #recorder: SessionRecorder | null
  readonly #garbage: YoungGarbage
  readonly #chunks: ChunkPool
  readonly #onClosed: (endedBy: string) => void
  readonly #timers: (() => void)[] = []
  /** Null when what passes can no longer be read along. */
  #decoder: SessionDecoder | null
  #clientFull = false
  #upstreamFull = false
  #ending: Status | null = null
  #told = false
  #openSides = 2

  constructor(parts: SessionParts) {
    this.authorized = parts.authorized
    this.facts = parts.facts
    this.#client = parts.client
    this.#upstream = parts.upstream
    this.#decoder = parts.decoder
    this.#activity = parts.activity
    this.#recorder = parts.recorder
    this.#garbage = parts.garbage
    this.#chunks = parts.chunks
    this.#onClosed = parts.onClosed
  }

  get lastActivityAtMs(): number {
    return this.#activity.lastAtMs
  }

  get sentBytes(): number {
    return this.#activity.sentBytes
  }

  get receivedBytes(): number {
    return this.#activity.receivedBytes
  }

  get recorded(): boolean {
    return this.#recorder !== null
  }

  follow(listener: (line: string | null) => void): (() => void) | null {
    return this.#recorder?.follow(listener) ?? null
  }

  /** @param readUpstream lets the API server's side flow, and hands over views that are valid only during the call. */
  start(readUpstream: (onChunk: (view: Buffer) => void) => void): void {
    const client = this.#client
    const upstream = this.#upstream
    client.on('data', this.#fromClient).on('drain', this.#clientDrained)
    upstream.on('drain', this.#upstreamDrained)
    client.once('end', () => {
      if (this.#ending === null) upstream.end()
    })
    upstream.once('end', () => {
      if (!this.#told) client.end()
    })
    client.once('close', () => {
      this.#closed(upstream)
    })
    upstream.once('close', () => {
      if (!this.#told) closeAfterLastBytes(client, upstream.readableEnded)
      this.#closed(null)
    })
    client.on('error', () => {
      upstream.destroy()
    })
    upstream.on('error', () => undefined)
    if (client.destroyed) this.#closed(upstream)
    if (upstream.destroyed) {
      client.destroy()
      this.#closed(null)
    }
    this.#startTimers()
    readUpstream(this.#fromUpstream)
    client.resume()
  }

  /** The recorder keeps up again. */
  drained(): void {
    this.#flow()
  }

  /** What was recorded can no longer be kept. */
  recordingFailed(): void {
    if (this.facts.record === 'required') this.end(recordingFailed())
  }

  end(status: Status): void {
    if (this.#ending !== null || this.#openSides < 2) return
    this.#ending = status
    this.#client.resume()
    if (this.#decoder === null) this.#cut()
    else if (this.#decoder.bytesSinceBoundary === 0) this.#tell()
    else this.#after(BOUNDARY_TIMEOUT_MS, this.#cut)
  }

  readonly #fromClient = (chunk: Buffer): void => {
    this.#garbage.add(chunk.length)
    this.#activity.arrived()
    if (this.#ending !== null) return
    if (this.#decoder === null) this.#activity.unread()
    try {
      this.#decoder?.fromClient(chunk)
    } catch (error) {
      if (!this.#goesOn(error)) return
    }
    this.#upstreamFull = !this.#upstream.write(chunk)
    if (this.#upstreamFull || this.#backlogged) this.#client.pause()
    if (this.#backlogged) this.#upstream.pause()
  }

  readonly #fromUpstream = (chunk: Buffer): void => {
    if (this.#recorder !== null) this.#garbage.add(chunk.length)
    this.#activity.arrived()
    if (this.#told) return
    const decoder = this.#decoder
    if (decoder === null) this.#activity.unread()
    const before = decoder?.bytesSinceBoundary
    try {
      decoder?.fromUpstream(chunk)
    } catch (error) {
      if (!this.#goesOn(error)) {
        if (before === 0) this.#tell()
        else this.#cut()
        return
      }
    }
    if (this.#ending !== null && decoder !== null && decoder.bytesSinceBoundary <= chunk.length) {
      this.#toClient(chunk.subarray(0, chunk.length - decoder.bytesSinceBoundary))
      this.#tell()
      return
    }
    this.#clientFull = !this.#toClient(chunk)
    if (this.#clientFull || this.#backlogged) this.#upstream.pause()
    if (this.#backlogged) this.#client.pause()
  }

  #toClient(view: Buffer): boolean {
    const { bytes, release } = this.#chunks.copy(view)
    return this.#client.write(bytes, release)
  }

  /** Whether bytes that cannot be read may pass all the same. Where they may not, the session is ended. */
  #goesOn(error: unknown): boolean {
    const reason = error instanceof UndecodableError ? error.message : 'the gateway failed to read them'
    if (this.#recorder !== null && this.facts.record === 'required') {
      this.end(sessionUndecodable(reason))
      return false
    }
    this.#recorder?.incomplete(reason)
    this.#decoder = null
    return true
  }

  get #backlogged(): boolean {
    return this.#recorder?.backlogged ?? false
  }

  readonly #clientDrained = (): void => {
    this.#clientFull = false
    this.#flow()
  }

  readonly #upstreamDrained = (): void => {
    this.#upstreamFull = false
    this.#flow()
  }

  #flow(): void {
    if (this.#backlogged) return
    if (!this.#clientFull) this.#upstream.resume()
    if (!this.#upstreamFull) this.#client.resume()
  }

  /** Puts the ending behind what went out, and closes. */
  #tell(): void {
    const status = this.#ending
    if (status === null || this.#told) return
    this.#told = true
    const named: Status = { ...status, message: `${status.message} (audit id ${this.facts.auditId})` }
    this.#client.write(this.#decoder?.ending(named) ?? Buffer.alloc(0))
    this.#upstream.destroy()
    // kubectl closes by itself once it has read why; some of its versions drop what is queued when the end comes first.
    this.#after(FAREWELL_TIMEOUT_MS, () => {
      this.#client.end()
    })
    this.#after(CLOSE_TIMEOUT_MS, this.#cut)
  }

  readonly #cut = (): void => {
    this.#client.destroy()
    this.#upstream.destroy()
  }

  #closed(other: Duplex | null): void {
    this.#openSides -= 1
    if (this.#openSides > 0) {
      other?.destroy()
      return
    }
    for (const callOff of this.#timers) callOff()
    this.#onClosed(this.#ending?.message ?? '')
  }

  #startTimers(): void {
    const { obligations, decision } = this.authorized
    const { maxDurationMs, idleTimeoutMs } = obligations
    if (maxDurationMs !== undefined) {
      this.#after(maxDurationMs, () => {
        this.end(sessionTooLong(maxDurationMs, decision.rule))
      })
    }
    if (idleTimeoutMs !== undefined) this.#watchIdle(idleTimeoutMs, decision.rule)
  }

  #watchIdle(timeoutMs: number, rule: string): void {
    let callOff = after(timeoutMs, check.bind(this))
    this.#timers.push(() => {
      callOff()
    })
    function check(this: Session): void {
      const { idleMs } = this.#activity
      if (idleMs >= timeoutMs) this.end(sessionIdle(timeoutMs, rule))
      else callOff = after(timeoutMs - idleMs, check.bind(this))
    }
  }

  #after(waitMs: number, act: () => void): void {
    this.#timers.push(after(waitMs, act))
  }
}
