import { ALL_SIGN_INS, type Cutoff, cutoffName, cutoffOf, merged } from './cutoff.ts'
import { type Login, type Revocation, refuseIndistinct, refuseRevoked } from './login.ts'
import { type SignIn, unidentifiedKey } from './sign-in.ts'

/** Told of each cutoff that is worth writing down. */
export interface CutoffJournal {
  cutOff(cutoff: Cutoff): void
  cutoffRemoved(cutoff: Cutoff): void
}

/** The logins of one person at one issuer, and what is remembered of those that were revoked. */
export class Person {
  readonly #journal: CutoffJournal
  readonly #maxCutoffs: number
  readonly #unidentifiedKey: string
  /** Oldest first. */
  readonly #logins = new Set<Login>()
  /** By sign-in; that which was revoked first comes first. */
  readonly #cutoffs = new Map<string, Cutoff>()

  constructor(issuer: string, sub: string, journal: CutoffJournal, maxCutoffs: number) {
    this.#journal = journal
    this.#maxCutoffs = maxCutoffs
    this.#unidentifiedKey = unidentifiedKey(issuer, sub)
  }

  /** How many logins of theirs are known. */
  get size(): number {
    return this.#logins.size
  }

  /** Whether nothing is known of them. */
  get isUnknown(): boolean {
    return this.#logins.size === 0 && this.#cutoffs.size === 0
  }

  add(login: Login): void {
    this.#logins.add(login)
  }

  /** What was revoked stays cut off. */
  delete(login: Login): void {
    this.#logins.delete(login)
  }

  /**
   * The login that a token belongs to; undefined when that is a new one.
   *
   * @throws StatusError 401 when it was revoked, or that cannot be told.
   */
  find({ key, identified, authenticatedAtMs, atMs, issuedAtMs }: SignIn): Login | undefined {
    if (this.#cutoffs.size > 0) {
      const own = this.#cutoffs.get(cutoffName(key))
      if (identified && own !== undefined && atMs <= own.atMs)
        throw refuseRevoked(this.#newestRevocation((login) => login.key === key))
      if (!identified && this.#mayBeRevoked(atMs)) throw refuseIndistinct(this.#newestRevocation())
    }
    const known = this.#standing(key)
    if (known !== undefined || this.#cutoffs.size === 0) return known
    const all = this.#cutoffs.get(ALL_SIGN_INS)
    if (all !== undefined && atMs <= all.atMs) throw refuseIndistinct(null)
    // It may be the first token of a sign-in whose later ones do not name it.
    const unidentified = this.#cutoffs.get(cutoffName(this.#unidentifiedKey))
    if (unidentified !== undefined && (authenticatedAtMs ?? issuedAtMs) <= unidentified.atMs)
      throw refuseIndistinct(this.#newestRevocation((login) => login.key === this.#unidentifiedKey))
    return undefined
  }

  /**
   * Revokes a login that stands, and those that may be the same one: tokens that name no sign-in may come from any.
   *
   * @param isSignOut see {@link Cutoff.isSignOut}.
   * @returns all of them, that login first.
   */
  revoke(login: Login, revocation: Revocation, isSignOut: boolean): readonly Login[] {
    const isAny = login.key === this.#unidentifiedKey
    const others = [...this.#logins].filter(
      (other) => other !== login && other.revocation === null && (isAny || other.key === this.#unidentifiedKey),
    )
    const ended = [login, ...others]
    for (const one of isAny ? ended : [login]) this.#remember(cutoffOf(one.record, revocation, isSignOut))
    for (const one of ended) one.revoke(revocation)
    return ended
  }

  /** Takes up what was kept. */
  restore(cutoff: Cutoff): void {
    this.#cutoffs.set(cutoff.signIn, cutoff)
  }

  /** Forgets what was remembered for long enough. */
  sweep(nowMs: number): void {
    for (const cutoff of this.#cutoffs.values()) if (cutoff.keptUntilMs <= nowMs) this.#forget(cutoff)
  }

  /** The login that is missed the least: revoked, or ended by itself, or not seen for the longest. */
  leastMissed(nowMs: number): Login | undefined {
    const rank = (login: Login): number => {
      if (login.revocation !== null) return 0
      if (login.expiresAtMs <= nowMs) return 1
      // Revoking it would revoke them all.
      return login.key === this.#unidentifiedKey ? 3 : 2
    }
    return [...this.#logins].toSorted((a, b) => rank(a) - rank(b) || a.lastSeenAtMs - b.lastSeenAtMs)[0]
  }

  /** Of a token that names no sign-in. */
  #mayBeRevoked(issuedAtMs: number): boolean {
    return this.#cutoffs.values().some(({ isSignOut, atMs }) => !isSignOut || issuedAtMs <= atMs)
  }

  #remember(cutoff: Cutoff): void {
    const { signIn } = cutoff
    const whole = merged(cutoff, this.#cutoffs.get(signIn))
    this.#cutoffs.delete(signIn)
    this.#cutoffs.set(signIn, whole)
    this.#journal.cutOff(whole)
    if (this.#cutoffs.size > this.#maxCutoffs) this.#fold()
  }

  /** Makes the oldest two into one, which refuses more: all sign-ins that are not known, up to then. */
  #fold(): void {
    const standing = [...this.#logins].filter(({ revocation }) => revocation === null).map(({ key }) => key)
    // A login that stands may have the key of one that was revoked: what comes with that key is told apart by its own.
    const stay = new Set([ALL_SIGN_INS, ...standing.map(cutoffName)])
    const oldest = this.#cutoffs.values().find(({ signIn }) => !stay.has(signIn))
    if (oldest === undefined) return
    const all = merged({ ...oldest, signIn: ALL_SIGN_INS }, this.#cutoffs.get(ALL_SIGN_INS))
    this.#cutoffs.set(ALL_SIGN_INS, all)
    this.#journal.cutOff(all)
    this.#forget(oldest)
  }

  #forget(cutoff: Cutoff): void {
    this.#cutoffs.delete(cutoff.signIn)
    this.#journal.cutoffRemoved(cutoff)
  }

  #standing(key: string): Login | undefined {
    return this.#logins.values().find((login) => login.key === key && login.revocation === null)
  }

  /** Null when none is remembered. */
  #newestRevocation(isMeant: (login: Login) => boolean = () => true): Revocation | null {
    let newest: Revocation | null = null
    for (const login of this.#logins) {
      const { revocation } = login
      if (revocation !== null && isMeant(login) && revocation.atMs >= (newest?.atMs ?? 0)) newest = revocation
    }
    return newest
  }
}
