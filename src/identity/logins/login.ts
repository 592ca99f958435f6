import { type StatusError, unauthorized } from '../../kube/status.ts'
import type { Subject } from '../../kube/subject.ts'

/** Most places that one login is remembered to have come from; the one that was not seen for the longest gives way. */
export const MAX_PLACES = 8
/** What is kept of a user agent, in UTF-16 units. */
const MAX_USER_AGENT_LENGTH = 256
/** How often it is written down that a login is still in use, in milliseconds. A restart may forget what came since. */
export const SEEN_WRITTEN_EVERY_MS = 600_000

/** Where requests of a login came from, and with which program. */
export interface LoginPlace {
  /** Without port. */
  readonly sourceIP: string
  /** As the client says, cut off; may be empty. */
  readonly userAgent: string
  /** Milliseconds since the epoch. */
  readonly lastSeenAtMs: number
}

/** That a login is over, whatever its tokens say. */
export interface Revocation {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** Username of who did it, the URL of the issuer that did, or `the connector`. */
  readonly by: string
  /** Why; may be empty. */
  readonly reason: string
}

/** All that is known of a login, as it is kept. Times are milliseconds since the epoch. */
export interface LoginRecord {
  /** A random UUID. */
  readonly id: string
  /** See {@link SignIn.key}. */
  readonly key: string
  /** URL. */
  readonly issuer: string
  /** Claim `sub`. */
  readonly sub: string
  /** Claim `sid`, empty without one. */
  readonly sid: string
  /** When the person proved who they are, by the newest `auth_time`; null when the issuer does not tell. */
  readonly authenticatedAtMs: number | null
  /** Of the newest token. */
  readonly username: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly firstSeenAtMs: number
  readonly lastSeenAtMs: number
  /** When the newest token ends, leeway included. */
  readonly expiresAtMs: number
  /** The newest {@link SignIn.atMs} that was seen. */
  readonly newestSignInAtMs: number
  /** Latest first. */
  readonly places: readonly LoginPlace[]
  readonly revocation: Revocation | null
}

/** What a token brings to its login. */
export interface LoginToken {
  readonly subject: Subject
  readonly authenticatedAtMs: number | null
  readonly expiresAtMs: number
  /** See {@link SignIn.atMs}. */
  readonly signInAtMs: number
}

/**
 * One login, alive: an authenticated period of a person. What its tokens were verified to say is found through it, so
 * that it ends for all of them at once.
 */
export class Login {
  #record: LoginRecord
  readonly #changed: (login: Login) => void
  #lastSeenAtMs: number
  #writtenSeenAtMs: number
  readonly #places: LoginPlace[]
  readonly #onRevoked = new Set<() => void>()

  /** @param changed told of each change that is worth writing down. */
  constructor(record: LoginRecord, changed: (login: Login) => void) {
    this.#record = record
    this.#changed = changed
    this.#lastSeenAtMs = record.lastSeenAtMs
    this.#writtenSeenAtMs = record.lastSeenAtMs
    this.#places = record.places.slice(0, MAX_PLACES)
  }

  get id(): string {
    return this.#record.id
  }

  get key(): string {
    return this.#record.key
  }

  get issuer(): string {
    return this.#record.issuer
  }

  get sub(): string {
    return this.#record.sub
  }

  get sid(): string {
    return this.#record.sid
  }

  get username(): string {
    return this.#record.username
  }

  get firstSeenAtMs(): number {
    return this.#record.firstSeenAtMs
  }

  /** A restart may have forgotten what came last. */
  get lastSeenAtMs(): number {
    return this.#lastSeenAtMs
  }

  get expiresAtMs(): number {
    return this.#record.expiresAtMs
  }

  get revocation(): Revocation | null {
    return this.#record.revocation
  }

  /** Everything, as of now. */
  get record(): LoginRecord {
    return { ...this.#record, lastSeenAtMs: this.#lastSeenAtMs, places: [...this.#places] }
  }

  /** A request came with one of its tokens. Costs next to nothing for the place that it came from before. */
  seen(atMs: number, sourceIP: string, userAgent: string): void {
    this.#lastSeenAtMs = Math.max(this.#lastSeenAtMs, atMs)
    const isNew = this.#seenAt({ sourceIP, userAgent: excerptOf(userAgent), lastSeenAtMs: atMs })
    if (!isNew && atMs - this.#writtenSeenAtMs < SEEN_WRITTEN_EVERY_MS) return
    this.#writtenSeenAtMs = atMs
    this.#changed(this)
  }

  /** One more of its tokens was verified. */
  renew({ subject, expiresAtMs, authenticatedAtMs, signInAtMs }: LoginToken): void {
    const before = this.#record
    // Of two tokens the one that holds for longer is taken for the newer.
    const newest = expiresAtMs >= before.expiresAtMs ? subject : before
    this.#record = {
      ...before,
      username: newest.username,
      uid: newest.uid,
      groups: newest.groups,
      expiresAtMs: Math.max(expiresAtMs, before.expiresAtMs),
      newestSignInAtMs: Math.max(signInAtMs, before.newestSignInAtMs),
      authenticatedAtMs: newestOf(authenticatedAtMs, before.authenticatedAtMs),
    }
    this.#changed(this)
  }

  /** Ends it for good, and tells everybody who watches. The first revocation stays. */
  revoke(revocation: Revocation): void {
    if (this.#record.revocation !== null) return
    this.#record = { ...this.#record, revocation }
    this.#changed(this)
    const listeners = [...this.#onRevoked]
    this.#onRevoked.clear()
    for (const listener of listeners) listener()
  }

  /** Calls back, once, when it is revoked; never when it is already. Returns the function that calls it off. */
  onRevoked(listener: () => void): () => void {
    this.#onRevoked.add(listener)
    return () => this.#onRevoked.delete(listener)
  }

  /** @throws StatusError 401 when it was revoked. */
  assertStanding(): void {
    const { revocation } = this.#record
    if (revocation !== null) throw refuseRevoked(revocation)
  }

  /** Whether the place was not known. */
  #seenAt(place: LoginPlace): boolean {
    const places = this.#places
    const index = places.findIndex(
      ({ sourceIP, userAgent }) => sourceIP === place.sourceIP && userAgent === place.userAgent,
    )
    if (index === 0) places[0] = place
    else {
      if (index > 0) places.splice(index, 1)
      places.unshift(place)
      if (places.length > MAX_PLACES) places.pop()
    }
    return index < 0
  }
}

/** A copy: a mere slice would keep the whole header line in memory. */
function excerptOf(userAgent: string): string {
  return userAgent.length <= MAX_USER_AGENT_LENGTH
    ? userAgent
    : Buffer.from(userAgent.slice(0, MAX_USER_AGENT_LENGTH)).toString()
}

function newestOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b)
}

/** What whoever comes with a token of a revoked login is told. @param revocation null when it is not remembered. */
export function refuseRevoked(revocation: Revocation | null): StatusError {
  return unauthorized(`${revocation === null ? 'this login was revoked' : describeRevocation(revocation)}; ${ADVICE}`)
}

/** What whoever comes with a token is told that may be of a revoked login, and cannot show that it is of another. */
export function refuseIndistinct(revocation: Revocation | null): StatusError {
  const what = `a login of this person was revoked${revocation === null ? '' : by(revocation)}`
  return unauthorized(
    `${what}, and this token does not show that it is of another, as one from a browser (not --device) does; ${ADVICE}`,
  )
}

/** One sentence without a full stop. It repeats what people wrote: whoever prints it escapes what is not printable. */
export function describeRevocation(revocation: Revocation): string {
  return `this login was revoked${by(revocation)}`
}

function by({ by: who, reason }: Revocation): string {
  return ` by ${who}${reason === '' ? '' : `: ${reason}`}`
}

/** The client finds it at the end of a refusal, and knows by it that the person has to sign in. */
const ADVICE = 'sign in again with "postern client login"'
