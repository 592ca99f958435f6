import type { Authentication } from '../identity/authenticator.ts'
import { after } from './deadline.ts'

interface OpenLogin {
  /** When the newest token that was seen of it expires, in milliseconds since the epoch. */
  expiresAtMs: number
  streams: number
}

/**
 * Ends streams whose login is over: the token that opened it has expired, the grace is over too, and the same subject of
 * the same issuer has not come with a newer token since. Whoever was disabled or signed out cannot get one.
 */
export class LoginExpiry {
  readonly #graceMs: number
  /** Only of subjects with open streams. */
  readonly #logins = new Map<string, OpenLogin>()

  constructor(graceMs: number) {
    this.#graceMs = graceMs
  }

  /** A request came with this credential. */
  seen(authentication: Authentication): void {
    if (this.#logins.size === 0) return
    const login = this.#logins.get(keyOf(authentication))
    if (login !== undefined) login.expiresAtMs = Math.max(login.expiresAtMs, authentication.expiresAtMs)
  }

  /** Calls back when the login that opened a stream is over. Returns the function that calls it off. */
  watch(authentication: Authentication, onExpired: () => void): () => void {
    const key = keyOf(authentication)
    const login = this.#logins.get(key) ?? { expiresAtMs: 0, streams: 0 }
    this.#logins.set(key, login)
    login.streams += 1
    this.seen(authentication)
    let callOff: () => void
    const wait = (): void => {
      const leftMs = login.expiresAtMs + this.#graceMs - Date.now()
      callOff = after(leftMs, () => {
        if (login.expiresAtMs + this.#graceMs > Date.now()) wait()
        else onExpired()
      })
    }
    wait()
    let watching = true
    return () => {
      if (!watching) return
      watching = false
      callOff()
      login.streams -= 1
      if (login.streams === 0) this.#logins.delete(key)
    }
  }
}

function keyOf({ issuer, subject }: Authentication): string {
  return `${issuer}\n${subject.username}`
}
