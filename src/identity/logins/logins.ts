import { randomUUID } from 'node:crypto'
import { type StatusError, serviceUnavailable } from '../../kube/status.ts'
import type { Authentication } from '../authenticator.ts'
import { CLOCK_LEEWAY_SECONDS } from '../id-token-claims.ts'
import type { LogoutToken } from '../logout-token.ts'
import { Login, type LoginRecord, type Revocation, revokedRefusal } from './login.ts'
import type { SignIn } from './sign-in.ts'

/** Most logins that are known at a time. Above it the oldest go that ended by themselves; see {@link Logins.enter}. */
const MAX_LOGINS = 50_000
/** How many make room for others at a time. */
const ROOM = 500
const DAY_MS = 24 * 3600 * 1000
/** How long a login is remembered after its newest token ended: until then it can be revoked, should it be refreshed. */
export const ENDED_KEPT_MS = 30 * DAY_MS
/** How long a revocation is remembered. A refresh token that holds for longer outlives it. */
export const REVOKED_KEPT_MS = 400 * DAY_MS
/** How often those are looked for that were remembered for long enough, in milliseconds. */
const SWEEP_EVERY_MS = 3600 * 1000
/** How long it is not looked again for room where there was none, in milliseconds. */
const FULL_FOR_MS = 1000

/** Where logins are written down. Both return at once. */
export interface LoginJournal {
  /** Writes a login down some time soon, as it then is. */
  changed(login: Login): void
  removed(id: string): void
  /** Resolves when all that was told so far is safe. @throws when it cannot be written. */
  flushed(): Promise<void>
}

/** Keeps nothing. */
const NO_JOURNAL: LoginJournal = {
  changed: () => undefined,
  removed: () => undefined,
  flushed: () => Promise.resolve(),
}

export interface LoginsOptions {
  /** What was kept, in any order. */
  readonly kept?: readonly LoginRecord[]
  /** Default keeps nothing. */
  readonly journal?: LoginJournal
  /** Milliseconds since the epoch. Default the system's clock. */
  readonly clock?: () => number
  /** Default {@link MAX_LOGINS}. */
  readonly maxLogins?: number
}

/** Where a login that was revoked leaves off. Only who signed in after it comes in again. */
interface Cutoff {
  readonly atMs: number
  readonly revocation: Revocation
}

/** The logins of people, those that ended or were revoked of late included. Makes and forgets them. */
export class Logins {
  readonly #journal: LoginJournal
  readonly #clock: () => number
  readonly #maxLogins: number
  /** Oldest first. */
  readonly #byId = new Map<string, Login>()
  /** The newest of each key. */
  readonly #byKey = new Map<string, Login>()
  readonly #cutoffs = new Map<string, Cutoff>()
  #sweptAtMs = 0
  #fullUntilMs = 0

  constructor({ kept = [], journal = NO_JOURNAL, clock = Date.now, maxLogins = MAX_LOGINS }: LoginsOptions = {}) {
    this.#journal = journal
    this.#clock = clock
    this.#maxLogins = maxLogins
    for (const record of kept.toSorted((a, b) => a.firstSeenAtMs - b.firstSeenAtMs)) {
      const login = this.#add(record)
      if (record.revocation !== null) this.#cutOff(login, record.revocation)
    }
  }

  /**
   * The login that a verified token belongs to, made when there is none. To be asked once for each token, not for each
   * request.
   *
   * @throws StatusError 401 when that login was revoked and the token shows no later sign-in; 503 when there are as many
   * logins as can be remembered, all of which hold or were revoked.
   */
  enter({ subject, issuer, expiresAtMs }: Authentication, signIn: SignIn): Login {
    const { key, sub, sid, authenticatedAtMs, atMs: signInAtMs } = signIn
    const cutoff = this.#cutoffs.get(key)
    if (cutoff !== undefined && signInAtMs <= cutoff.atMs) throw revokedRefusal(cutoff.revocation)
    const known = this.#byKey.get(key)
    if (known !== undefined && known.revocation === null) {
      known.renew({ subject, authenticatedAtMs, expiresAtMs, signInAtMs })
      return known
    }
    const nowMs = this.#clock()
    this.#makeRoom(nowMs)
    const { username, uid, groups } = subject
    const login = this.#add({
      id: randomUUID(),
      key,
      issuer,
      sub,
      sid,
      authenticatedAtMs,
      username,
      uid,
      groups,
      firstSeenAtMs: nowMs,
      lastSeenAtMs: nowMs,
      expiresAtMs,
      newestSignInAtMs: signInAtMs,
      places: [],
      revocation: null,
    })
    this.#journal.changed(login)
    return login
  }

  /** Oldest first. */
  list(): readonly Login[] {
    return [...this.#byId.values()]
  }

  find(id: string): Login | undefined {
    return this.#byId.get(id)
  }

  /**
   * Revokes a login: at once here, and for good when the promise resolves. One that was revoked stays as it is.
   *
   * @throws StatusError 503 when it cannot be written down. It is revoked all the same, until a restart.
   */
  async revoke(login: Login, by: string, reason: string): Promise<void> {
    this.#revoke(login, { atMs: this.#clock(), by, reason })
    await this.#flushed()
  }

  /**
   * Revokes what an issuer says has ended: the session that it names, and all logins of the person where it names none,
   * or where their tokens do not tell sessions apart. What was first seen after the issuer said so goes on.
   *
   * @returns those that it revoked.
   * @throws StatusError 503 as {@link revoke}.
   */
  async endAtIssuer(ended: LogoutToken): Promise<readonly Login[]> {
    const logins = this.list().filter((login) => login.revocation === null && isEnded(login, ended))
    const revocation = { atMs: this.#clock(), by: ended.issuer, reason: 'signed out there' }
    for (const login of logins) this.#revoke(login, revocation)
    await this.#flushed()
    return logins
  }

  #revoke(login: Login, revocation: Revocation): void {
    if (login.revocation !== null) return
    login.revoke(revocation)
    this.#cutOff(login, revocation)
  }

  async #flushed(): Promise<void> {
    try {
      await this.#journal.flushed()
    } catch (cause) {
      const message = 'the login is revoked, but that cannot be written down, so a restart would forget it; try again'
      throw serviceUnavailable(message, { cause })
    }
  }

  #add(record: LoginRecord): Login {
    const login = new Login(record, (changed) => {
      if (this.#byId.get(changed.id) === changed) this.#journal.changed(changed)
    })
    this.#byId.set(record.id, login)
    this.#byKey.set(record.key, login)
    return login
  }

  #cutOff(login: Login, revocation: Revocation): void {
    const { key, newestSignInAtMs } = login.record
    const atMs = Math.max(revocation.atMs, newestSignInAtMs, this.#cutoffs.get(key)?.atMs ?? 0)
    this.#cutoffs.set(key, { atMs, revocation })
  }

  #makeRoom(nowMs: number): void {
    if (nowMs - this.#sweptAtMs >= SWEEP_EVERY_MS) {
      this.#sweptAtMs = nowMs
      for (const login of this.list()) if (keptUntilMs(login) <= nowMs) this.#forget(login)
    }
    if (this.#byId.size < this.#maxLogins) return
    if (nowMs < this.#fullUntilMs) throw tooManyLogins()
    const ended = this.list().filter(({ revocation, expiresAtMs }) => revocation === null && expiresAtMs <= nowMs)
    for (const login of ended.slice(0, ROOM)) this.#forget(login)
    if (this.#byId.size < this.#maxLogins) return
    this.#fullUntilMs = nowMs + FULL_FOR_MS
    throw tooManyLogins()
  }

  #forget(login: Login): void {
    const { id, key, revocation } = login
    this.#byId.delete(id)
    if (this.#byKey.get(key) === login) this.#byKey.delete(key)
    if (revocation !== null && this.#cutoffs.get(key)?.revocation === revocation) this.#cutoffs.delete(key)
    this.#journal.removed(id)
  }
}

function isEnded(login: Login, { issuer, sub, sid, issuedAtMs }: LogoutToken): boolean {
  if (login.issuer !== issuer || (sub !== '' && login.sub !== sub)) return false
  if (sid !== '' && login.sid !== '') return login.sid === sid
  return sub !== '' && login.firstSeenAtMs <= issuedAtMs + CLOCK_LEEWAY_SECONDS * 1000
}

function tooManyLogins(): StatusError {
  return serviceUnavailable('more people are signed in than the connector can remember; try again later')
}

function keptUntilMs({ expiresAtMs, revocation }: Login): number {
  return revocation === null ? expiresAtMs + ENDED_KEPT_MS : revocation.atMs + REVOKED_KEPT_MS
}
