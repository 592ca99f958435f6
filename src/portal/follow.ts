import type { ServerResponse } from 'node:http'
import { renderEvent } from '../audit/recording/asciicast.ts'
import { FOLLOWING_ENDED } from '../audit/recording/following-ended.ts'
import type { PortalSession } from './portal-session.ts'

/** What may wait for a follower who reads slowly, in bytes. */
export const MAX_BACKLOG_BYTES = 1024 * 1024
/** How often it is asked whether the follower may go on, in milliseconds. */
const ASK_EVERY_MS = 1_000
/** How long a follower who is let go may take to read what waits, in milliseconds. */
const LAST_LINE_TIMEOUT_MS = 30_000

/**
 * Sends a session's asciicast as it grows, until the session or the follower ends. A follower who reads too slowly or
 * may not go on gets a last line, a marker event that begins with {@link FOLLOWING_ENDED}: unlike a broken answer it
 * reaches those who have yet to read what came before it.
 *
 * @param whyNot tells why the follower may not go on; empty while they may.
 * @returns false when nothing records the session; nothing was sent then.
 */
export function sendFollowed(session: PortalSession, response: ServerResponse, whyNot: () => string): boolean {
  const follower = new Follower(session, response)
  if (!follower.start()) return false
  follower.askWhyNot(whyNot)
  return true
}

class Follower {
  readonly #session: PortalSession
  readonly #response: ServerResponse
  #stop: (() => void) | null = null
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor(session: PortalSession, response: ServerResponse) {
    this.#session = session
    this.#response = response
  }

  start(): boolean {
    const response = this.#response
    // Nothing else is asked on this connection, and a portal that stops does not wait for it to go idle.
    response.setHeader('Connection', 'close')
    this.#stop = this.#session.follow((line) => {
      this.#tell(line)
    })
    if (this.#stop === null) return false
    response.once('close', () => {
      this.#leave()
      clearTimeout(this.#timer)
    })
    // The listener may have been told of the end before there was anything to stop.
    if (this.#over) this.#stop()
    else response.flushHeaders()
    return true
  }

  askWhyNot(whyNot: () => string): void {
    if (this.#over) return
    this.#timer = setInterval(() => {
      const why = whyNot()
      if (why !== '') this.#letGo(why)
    }, ASK_EVERY_MS).unref()
  }

  #tell(line: string | null): void {
    if (this.#over) return
    if (line === null) {
      this.#leave()
      this.#response.end()
    } else if (this.#response.writableLength + Buffer.byteLength(line) > MAX_BACKLOG_BYTES) {
      this.#letGo('you read more slowly than the session goes on')
    } else this.#response.write(line)
  }

  #leave(): void {
    this.#over = true
    clearInterval(this.#timer)
    this.#stop?.()
  }

  #letGo(why: string): void {
    this.#leave()
    this.#timer = setTimeout(() => {
      this.#response.destroy()
    }, LAST_LINE_TIMEOUT_MS).unref()
    const atMicros = Math.max(0, Date.now() - this.#session.facts.startedAtMs) * 1000
    this.#response.end(renderEvent(atMicros, 'm', `${FOLLOWING_ENDED}${why}`))
  }
}
