import type { Authentication } from '../identity/authenticator.ts'
import type { Revocation } from '../identity/logins/login.ts'
import type { Status } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { after } from './deadline.ts'
import { loginExpired, loginRevoked } from './session-endings.ts'

/** What streams are open of. */
interface Holder {
  /** When the newest credential that was seen of it expires, in milliseconds since the epoch. */
  expiresAtMs: number
  streams: number
}

interface Person extends Holder {
  /** Who they are by that credential. */
  subject: Subject
}

/**
 * Ends streams whose login is over. It was revoked; or the token that opened the stream has expired, the grace is over
 * too, and the same login has not come with a newer token since: whoever was disabled or signed out cannot get one.
 * Of a machine it is the same account; what a credential opened that nothing renews ends with it.
 */
export class LoginExpiry {
  readonly #graceMs: number
  readonly #onChange: (authentication: Authentication) => void
  /** Only those with open streams, as the rest. */
  readonly #logins = new Map<string, Holder>()
  readonly #people = new Map<string, Person>()

  /** @param onChange told when a newer token of somebody with open streams says that they are in other groups by now. */
  constructor(graceMs: number, onChange: (authentication: Authentication) => void = () => undefined) {
    this.#graceMs = graceMs
    this.#onChange = onChange
  }

  /** A request came with this credential. */
  seen(authentication: Authentication): void {
    if (this.#logins.size === 0) return
    const { subject, expiresAtMs } = authentication
    const login = this.#logins.get(loginKey(authentication))
    if (login !== undefined) login.expiresAtMs = Math.max(login.expiresAtMs, expiresAtMs)
    const person = this.#people.get(personKey(authentication))
    // Of two tokens the one that holds for longer is taken for the newer.
    if (person === undefined || expiresAtMs <= person.expiresAtMs) return
    const changed = !isSame(person.subject, subject)
    person.expiresAtMs = expiresAtMs
    person.subject = subject
    if (changed) this.#onChange(authentication)
  }

  /**
   * Calls back, once, when the login that opened a stream is over, with what its person is to be told. Never before it
   * returns. Returns the function that calls it off.
   */
  watch(authentication: Authentication, onOver: (status: Status) => void): () => void {
    const { subject, expiresAtMs, isFinal = false } = authentication
    const [login, leaveLogin] = hold(this.#logins, loginKey(authentication), { expiresAtMs, streams: 0 })
    const [, leavePerson] = hold(this.#people, personKey(authentication), { expiresAtMs, subject, streams: 0 })
    this.seen(authentication)
    const endsAtMs = (): number => (isFinal ? expiresAtMs : login.expiresAtMs + this.#graceMs)
    let watching = true
    const stop = (): void => {
      if (!watching) return
      watching = false
      stopWaiting()
      stopListening()
      leaveLogin()
      leavePerson()
    }
    const over = (status: Status): void => {
      stop()
      onOver(status)
    }
    let stopWaiting = (): void => undefined
    const wait = (): void => {
      stopWaiting = after(endsAtMs() - Date.now(), () => {
        if (endsAtMs() > Date.now()) wait()
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

/** Counts a stream of a holder, who is there while one is open. Returns the holder, and what takes it off again. */
function hold<T extends Holder>(holders: Map<string, T>, key: string, first: T): readonly [T, () => void] {
  const holder = holders.get(key) ?? first
  holders.set(key, holder)
  holder.streams += 1
  return [
    holder,
    () => {
      holder.streams -= 1
      if (holder.streams === 0) holders.delete(key)
    },
  ]
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

function personKey({ issuer, subject }: Authentication): string {
  return `${issuer}\n${subject.username}`
}

/** An account that was made anew, or a person by another name, is another. */
function loginKey({ issuer, subject, login }: Authentication): string {
  return `${login?.id ?? issuer}\n${subject.username}\n${login === undefined ? subject.uid : ''}`
}
