import type { Authentication } from '../identity/authenticator.ts'
import type { Revocation } from '../identity/logins/login.ts'
import type { Status } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { after } from './deadline.ts'
import { loginExpired, loginRevoked } from './session-endings.ts'

interface OpenLogin {
  /** When the newest token that was seen of it expires, in milliseconds since the epoch. */
  expiresAtMs: number
  /** Who its person is, by that token. */
  subject: Subject
  streams: number
}

/**
 * Ends streams whose login is over. It was revoked; or the token that opened the stream has expired, the grace is over
 * too, and the same subject of the same issuer has not come with a newer token since: whoever was disabled or signed out
 * cannot get one.
 */
export class LoginExpiry {
  readonly #graceMs: number
  readonly #onChange: (authentication: Authentication) => void
  /** Only of subjects with open streams. */
  readonly #logins = new Map<string, OpenLogin>()

  /** @param onChange told when a newer token of somebody with open streams says that they are in other groups by now. */
  constructor(graceMs: number, onChange: (authentication: Authentication) => void = () => undefined) {
    this.#graceMs = graceMs
    this.#onChange = onChange
  }

  /** A request came with this credential. */
  seen(authentication: Authentication): void {
    if (this.#logins.size === 0) return
    const login = this.#logins.get(keyOf(authentication))
    const { subject, expiresAtMs } = authentication
    // Of two tokens the one that holds for longer is taken for the newer.
    if (login === undefined || expiresAtMs <= login.expiresAtMs) return
    const changed = !isSame(login.subject, subject)
    login.expiresAtMs = expiresAtMs
    login.subject = subject
    if (changed) this.#onChange(authentication)
  }

  /**
   * Calls back, once, when the login that opened a stream is over, with what its person is to be told. Never before it
   * returns. Returns the function that calls it off.
   */
  watch(authentication: Authentication, onOver: (status: Status) => void): () => void {
    const key = keyOf(authentication)
    const { subject, expiresAtMs } = authentication
    const open = this.#logins.get(key) ?? { expiresAtMs, subject, streams: 0 }
    this.#logins.set(key, open)
    open.streams += 1
    this.seen(authentication)
    let watching = true
    const stop = (): void => {
      if (!watching) return
      watching = false
      stopWaiting()
      stopListening()
      open.streams -= 1
      if (open.streams === 0) this.#logins.delete(key)
    }
    const over = (status: Status): void => {
      stop()
      onOver(status)
    }
    let stopWaiting = (): void => undefined
    const wait = (): void => {
      stopWaiting = after(open.expiresAtMs + this.#graceMs - Date.now(), () => {
        if (open.expiresAtMs + this.#graceMs > Date.now()) wait()
        else over(loginExpired())
      })
    }
    wait()
    const stopListening = onRevocation(authentication, (revocation) => {
      over(loginRevoked(revocation))
    })
    return stop
  }
}

/** Calls back as soon as the login is revoked; soon when it was while what it asked for was on its way. */
function onRevocation({ login }: Authentication, listener: (revocation: Revocation) => void): () => void {
  if (login === undefined) return () => undefined
  const tell = (): void => {
    if (login.revocation !== null) listener(login.revocation)
  }
  return login.revocation === null ? login.onRevoked(tell) : after(0, tell)
}

/** Whether the policy sees no difference. */
function isSame(one: Subject, other: Subject): boolean {
  const rights = ({ uid, groups, extra }: Subject): string => JSON.stringify([uid, groups.toSorted(), extra])
  return one === other || rights(one) === rights(other)
}

function keyOf({ issuer, subject }: Authentication): string {
  return `${issuer}\n${subject.username}`
}
