import { randomUUID } from 'node:crypto'
import { type StatusError, serviceUnavailable } from '../../kube/status.ts'
import type { Authentication } from '../authenticator.ts'
import { CLOCK_LEEWAY_SECONDS } from '../id-token-claims.ts'
import type { LogoutToken } from '../logout-token.ts'
import { type Cutoff, REVOKED_KEPT_MS } from './cutoff.ts'
import { Login, type LoginRecord, type Revocation } from './login.ts'
import { type CutoffJournal, Person } from './person.ts'
import type { SignIn } from './sign-in.ts'

/** Most logins that are known at a time, and most people; see {@link Logins.enter}. */
const MAX_LOGINS = 50_000
/** Most logins of one person at one issuer. */
const MAX_LOGINS_OF_PERSON = 100
/** Most revocations that are remembered one by one of a person; older ones are folded into one. */
const MAX_CUTOFFS_OF_PERSON = 1_000
/** How many that are over make room for others at a time. */
const ROOM = 500
/** How long a login is remembered after its newest token ended: until then it can be revoked, should it be refreshed. */
export const ENDED_KEPT_MS = 30 * 24 * 3600 * 1000
/** How often those are looked for that were remembered for long enough, in milliseconds. */
const SWEEP_EVERY_MS = 3600 * 1000
/** How long it is not looked again for room where there was none, in milliseconds. */
const FULL_FOR_MS = 1000

/** Where logins are written down. All but the last return at once. */
export interface LoginJournal extends CutoffJournal {
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
  cutOff: () => undefined,
  cutoffRemoved: () => undefined,
  flushed: () => Promise.resolve(),
}

/** What is remembered over a restart, in any order. */
export interface KeptLogins {
  readonly logins: readonly LoginRecord[]
  readonly cutoffs: readonly Cutoff[]
}

export interface LoginsOptions {
  readonly kept?: KeptLogins
  /** Default keeps nothing. */
  readonly journal?: LoginJournal
  /** Milliseconds since the epoch. Default the system's clock. */
  readonly clock?: () => number
  /** Default {@link MAX_LOGINS}. */
  readonly maxLogins?: number
  /** Default {@link MAX_LOGINS_OF_PERSON}. */
  readonly maxLoginsOfPerson?: number
  /** Default {@link MAX_CUTOFFS_OF_PERSON}. */
  readonly maxCutoffsOfPerson?: number
}

/** The logins of people, those that ended or were revoked of late included. Makes and forgets them. */
export class Logins {
  readonly #journal: LoginJournal
  readonly #clock: () => number
  readonly #maxLogins: number
  readonly #maxLoginsOfPerson: number
  readonly #maxCutoffsOfPerson: number
  /** Oldest first. */
  readonly #byId = new Map<string, Login>()
  /** Those of whom anything is known, by {@link personKey}. */
  readonly #people = new Map<string, Person>()
  #sweptAtMs = 0
  #fullUntilMs = 0

  constructor({
    kept = { logins: [], cutoffs: [] },
    journal = NO_JOURNAL,
    clock = Date.now,
    maxLogins = MAX_LOGINS,
    maxLoginsOfPerson = MAX_LOGINS_OF_PERSON,
    maxCutoffsOfPerson = MAX_CUTOFFS_OF_PERSON,
  }: LoginsOptions = {}) {
    this.#journal = journal
    this.#clock = clock
    this.#maxLogins = maxLogins
    this.#maxLoginsOfPerson = maxLoginsOfPerson
    this.#maxCutoffsOfPerson = maxCutoffsOfPerson
    for (const cutoff of kept.cutoffs.toSorted((a, b) => a.keptUntilMs - b.keptUntilMs))
      this.#personOf(cutoff).restore(cutoff)
    for (const record of kept.logins.toSorted((a, b) => a.firstSeenAtMs - b.firstSeenAtMs)) this.#add(record)
  }

  /**
   * The login that a verified token belongs to, made when there is none. To be asked once for each token, not for each
   * request.
   *
   * Where there are too many, those give way that are over, and no cutoff with them. Then it is the person's own login
   * that was not seen for the longest, which is revoked; a person who has none gets the place of one of whoever has most.
   *
   * @throws StatusError 401 when that login was revoked and the token shows no later sign-in; 503 when as many people are
   * signed in, or were revoked, as can be remembered.
   */
  enter({ subject, issuer, expiresAtMs }: Authentication, signIn: SignIn): Login {
    const { key, sub, sid, authenticatedAtMs, atMs: signInAtMs } = signIn
    const person = { issuer, sub }
    const known = this.#people.get(personKey(person))?.find(signIn)
    if (known !== undefined) {
      known.renew({ subject, authenticatedAtMs, expiresAtMs, signInAtMs })
      return known
    }
    const nowMs = this.#clock()
    this.#makeRoom(person, nowMs)
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
   * Revokes a login, and those of the person that cannot be told from it: at once here, and for good when the promise
   * resolves. One that was revoked stays as it is.
   *
   * @param isSignOut whether its person did, with a token of the login itself.
   * @returns those that it revoked.
   * @throws StatusError 503 when it cannot be written down. They are revoked all the same, until a restart.
   */
  async revoke(login: Login, by: string, reason: string, isSignOut = false): Promise<readonly Login[]> {
    const ended = this.#revoke(login, { atMs: this.#clock(), by, reason }, isSignOut)
    await this.#flushed()
    return ended
  }

  /**
   * Revokes what an issuer says has ended: the session that it names, and all logins of the person where it names none,
   * or where their tokens do not tell sessions apart. What was first seen after the issuer said so goes on.
   *
   * @returns those that it revoked.
   * @throws StatusError 503 as {@link revoke}.
   */
  async endAtIssuer(ended: LogoutToken): Promise<readonly Login[]> {
    const revocation = { atMs: this.#clock(), by: ended.issuer, reason: 'signed out there' }
    const revoked = this.list()
      .filter((login) => login.revocation === null && isEnded(login, ended))
      .flatMap((login) => this.#revoke(login, revocation))
    await this.#flushed()
    return revoked
  }

  #revoke(login: Login, revocation: Revocation, isSignOut = false): readonly Login[] {
    return login.revocation === null ? this.#personOf(login).revoke(login, revocation, isSignOut) : []
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
    this.#personOf(record).add(login)
    return login
  }

  #personOf({ issuer, sub }: PersonName): Person {
    const key = personKey({ issuer, sub })
    const known = this.#people.get(key)
    if (known !== undefined) return known
    const person = new Person(issuer, sub, this.#journal, this.#maxCutoffsOfPerson)
    this.#people.set(key, person)
    return person
  }

  #makeRoom(name: PersonName, nowMs: number): void {
    this.#sweep(nowMs)
    const own = this.#people.get(personKey(name))
    while (own !== undefined && own.size >= this.#maxLoginsOfPerson) this.#giveWay(own, nowMs)
    const isFull = (): boolean => this.#byId.size >= this.#maxLogins
    const isOneTooMany = (): boolean => !this.#people.has(personKey(name)) && this.#people.size >= this.#maxLogins
    if (isFull()) this.#forgetOldest(({ revocation }) => revocation !== null)
    if (isFull() || isOneTooMany())
      this.#forgetOldest(({ revocation, expiresAtMs }) => revocation === null && expiresAtMs <= nowMs)
    if (isFull() && own !== undefined && own.size > 0) this.#giveWay(own, nowMs)
    if (!isFull() && !isOneTooMany()) return
    if (nowMs < this.#fullUntilMs) throw tooManyPeople()
    const richest = isOneTooMany() ? undefined : this.#richest()
    if (richest === undefined) {
      this.#fullUntilMs = nowMs + FULL_FOR_MS
      throw tooManyPeople()
    }
    this.#giveWay(richest, nowMs)
  }

  #forgetOldest(isMeant: (login: Login) => boolean): void {
    for (const login of this.list().filter(isMeant).slice(0, ROOM)) this.#forget(login)
  }

  /** Whoever has most logins, and more than one. */
  #richest(): Person | undefined {
    let richest: Person | undefined
    for (const person of this.#people.values()) if (person.size > (richest?.size ?? 1)) richest = person
    return richest
  }

  /** Takes one login from a person who has some. */
  #giveWay(person: Person, nowMs: number): void {
    const login = person.leastMissed(nowMs)
    if (login === undefined) return
    if (login.revocation === null && login.expiresAtMs > nowMs)
      this.#revoke(login, { atMs: nowMs, by: 'the connector', reason: 'there were too many logins' }, true)
    this.#forget(login)
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < SWEEP_EVERY_MS) return
    this.#sweptAtMs = nowMs
    for (const login of this.list()) if (keptUntilMs(login) <= nowMs) this.#forget(login)
    for (const [key, person] of this.#people) {
      person.sweep(nowMs)
      if (person.isUnknown) this.#people.delete(key)
    }
  }

  #forget(login: Login): void {
    this.#byId.delete(login.id)
    const key = personKey(login)
    const person = this.#people.get(key)
    person?.delete(login)
    if (person?.isUnknown === true) this.#people.delete(key)
    this.#journal.removed(login.id)
  }
}

/** A person at one issuer. */
type PersonName = Pick<LoginRecord, 'issuer' | 'sub'>

function personKey({ issuer, sub }: PersonName): string {
  return JSON.stringify([issuer, sub])
}

function isEnded(login: Login, { issuer, sub, sid, issuedAtMs }: LogoutToken): boolean {
  if (login.issuer !== issuer || (sub !== '' && login.sub !== sub)) return false
  if (sid !== '' && login.sid !== '') return login.sid === sid
  return sub !== '' && login.firstSeenAtMs <= issuedAtMs + CLOCK_LEEWAY_SECONDS * 1000
}

function tooManyPeople(): StatusError {
  return serviceUnavailable('more people are signed in than the connector can remember; try again later')
}

function keptUntilMs({ expiresAtMs, revocation }: Login): number {
  return revocation === null ? expiresAtMs + ENDED_KEPT_MS : revocation.atMs + REVOKED_KEPT_MS
}
