import { type Credential, isBearerToken } from './credential.ts'
import { Repetition } from './repetition.ts'

/** The part of its life after which a token is renewed: 10 of 14 minutes. */
const RENEW_AFTER = 10 / 14
/**
 * A token that was refused is replaced at most so often, in milliseconds; the pauses double while the new ones are
 * refused too, since then the fault is with the API server's idea of us.
 */
const FIRST_REPLACEMENT_MS = 10_000
const GREATEST_REPLACEMENT_MS = 5 * 60_000

/** A bearer token and the end of its life, in milliseconds since the epoch. */
export interface ExpiringToken {
  readonly token: string
  readonly expiresAtMs: number
}

/** How a token comes about. */
export interface TokenSource {
  /**
   * `refused` when the API server did not accept the last one: what it was made from is then looked at anew. Throws an
   * Error of one phrase without a secret.
   */
  make(refused: boolean): Promise<ExpiringToken>
  /** What to do when the API server answers 401. */
  readonly refusalHint: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Called after each making, failed or not. */
  readonly onDone?: () => void
}

/**
 * A bearer token that is made anew well before it ends, one making at a time.
 *
 * When that fails it is tried again; the last token stays in force until it ends, and `problem` says why. After its end
 * there is none.
 */
export class RenewedToken implements Credential {
  readonly refusalHint: string
  readonly #source: TokenSource
  readonly #now: () => number
  readonly #renewal: Repetition
  #authorization = ''
  #expiresAtMs = -Infinity
  #madeAtMs = -Infinity
  #refused = false
  /** Replacements in a row. */
  #replacements = 0

  /** Makes nothing before {@link renew}. */
  constructor(source: TokenSource) {
    this.refusalHint = source.refusalHint
    this.#source = source
    this.#now = source.now
    this.#renewal = new Repetition(() => this.#make(), source.onDone)
  }

  get problem(): string {
    return this.#renewal.problem
  }

  /** Undefined when there is no token, or the last one has ended. */
  authorization(): string | undefined {
    return this.#now() < this.#expiresAtMs ? this.#authorization : undefined
  }

  rejected(): void {
    const pauseMs = Math.min(FIRST_REPLACEMENT_MS * 2 ** this.#replacements, GREATEST_REPLACEMENT_MS)
    if (this.#now() - this.#madeAtMs < pauseMs) return
    this.#refused = true
    void this.renew()
  }

  /** Makes a token now, and from then on by itself; joins the making that is under way. Never rejects. */
  renew(): Promise<void> {
    return this.#renewal.run()
  }

  close(): void {
    this.#renewal.close()
    this.#authorization = ''
    this.#expiresAtMs = -Infinity
  }

  /** Returns the time until the next one. */
  async #make(): Promise<number> {
    const { token, expiresAtMs } = await this.#source.make(this.#refused)
    const now = this.#now()
    if (!isBearerToken(token)) throw new Error('the token holds characters that no token has')
    if (expiresAtMs <= now) throw new Error('what the token is made from has ended; renew it')
    this.#replacements = this.#refused ? this.#replacements + 1 : 0
    this.#refused = false
    this.#authorization = `Bearer ${token}`
    this.#expiresAtMs = expiresAtMs
    this.#madeAtMs = now
    return (expiresAtMs - now) * RENEW_AFTER
  }
}
