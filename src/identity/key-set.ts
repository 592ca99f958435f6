import type { StatusError } from '../kube/status.ts'
import type { SigningAlgorithm } from './issuer-options.ts'
import { issuerUnavailable, keyUnknown, refusal } from './refusal.ts'
import type { VerificationKey } from './verification-key.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Bounds on what the issuer's Cache-Control may ask for, and what holds when it asks for nothing. */
export const KEY_AGE_MS = { min: MINUTE, default: 10 * MINUTE, max: 24 * HOUR }
/** How long keys serve on, after they should have been fetched anew, while the issuer cannot be reached. */
export const STALE_LIMIT_MS = HOUR
/**
 * Tokens with unknown keys make us ask the issuer once in this time, and so many times at once when none came for a while:
 * a made-up key now and then must not keep a new one from being found.
 */
export const REFRESH_COOLDOWN_MS = 10 * SECOND
export const REFRESH_BURST = 3
/** First and longest pause between attempts while the issuer cannot be reached. */
export const RETRY_MS = { min: SECOND / 2, max: 10 * SECOND }
/** Most callers that wait for one refresh. */
export const MAX_WAITING = 1000

/** What an issuer publishes. */
export interface PublishedKeys {
  readonly keys: readonly VerificationKey[]
  /** As the issuer asks; undefined when it does not. */
  readonly maxAgeSeconds: number | undefined
}

export interface KeySetOptions {
  /** Fetches everything anew. Its error's message is for the operator. */
  readonly load: (signal: AbortSignal) => Promise<PublishedKeys>
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Called after a refresh that changed {@link KeySet.readiness}. */
  readonly onReadinessChange: () => void
}

export interface KeySetReadiness {
  readonly ready: boolean
  /** Why not; or, when ready, why the last refresh failed. Empty when all is well. For the operator. */
  readonly reason: string
}

/**
 * The signature keys of one issuer: fetched at once, again when they have come of age, again (seldom) for a key that is
 * not among them, and with growing pauses while the issuer cannot be reached. A refresh replaces the whole set, so a
 * key that the issuer withdrew is gone. The owner closes it.
 */
export class KeySet {
  readonly #options: KeySetOptions
  readonly #closing = new AbortController()
  #keys: readonly VerificationKey[] = []
  #fingerprints: ReadonlySet<string> = new Set()
  #usableUntilMs = -Infinity
  /** When all of {@link REFRESH_BURST} are there again. */
  #restedAtMs = -Infinity
  #failures = 0
  #reason = 'its keys were not fetched yet'
  #reported: KeySetReadiness = { ready: false, reason: '' }
  #refreshing: Promise<void> | undefined
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: KeySetOptions) {
    this.#options = options
    void this.#refresh()
  }

  get readiness(): KeySetReadiness {
    return { ready: this.#usable, reason: this.#reason }
  }

  /**
   * The key for a token's header. A promise when the issuer has to be asked first.
   *
   * @param id `kid`; without it there must be one key only that fits.
   * @throws StatusError 401 when the issuer was asked for the token's sake and publishes no such key, 503 when that cannot
   * be told now, for the issuer is away or was asked too often.
   */
  find(algorithm: SigningAlgorithm, id: string | undefined): VerificationKey | Promise<VerificationKey> {
    const key = this.#select(algorithm, id)
    if (key !== undefined) return key
    return this.#findAfterRefresh(algorithm, id)
  }

  /** False once a refresh came back without the key: what it signed does not hold any more. */
  holds({ fingerprint }: VerificationKey): boolean {
    return this.#fingerprints.has(fingerprint)
  }

  /** Stops all fetching. Keys that are held still serve. */
  close(): void {
    this.#closing.abort(new Error('the connector stops'))
    clearTimeout(this.#timer)
  }

  get #usable(): boolean {
    return this.#options.clock() <= this.#usableUntilMs
  }

  #select(algorithm: SigningAlgorithm, id: string | undefined): VerificationKey | undefined {
    if (!this.#usable) return undefined
    const fitting = this.#keys.filter(
      (key) => key.algorithms.includes(algorithm) && (id === undefined || key.id === id),
    )
    return id === undefined && fitting.length > 1 ? undefined : fitting[0]
  }

  /** Counts the question. */
  #mayAsk(): boolean {
    if (this.#cooldownMs() > 0) return false
    this.#restedAtMs = Math.max(this.#restedAtMs, this.#options.clock()) + REFRESH_COOLDOWN_MS
    return true
  }

  /** Until the issuer may be asked for the sake of a token, in milliseconds. */
  #cooldownMs(): number {
    const nowMs = this.#options.clock()
    // A clock that was put back makes nobody wait for longer.
    this.#restedAtMs = Math.min(this.#restedAtMs, nowMs + REFRESH_BURST * REFRESH_COOLDOWN_MS)
    return Math.max(0, this.#restedAtMs - nowMs - (REFRESH_BURST - 1) * REFRESH_COOLDOWN_MS)
  }

  get #away(): boolean {
    return !this.#usable || this.#failures > 0
  }

  /** The key is not here, and whether it is published cannot be told. */
  #unknown(): StatusError {
    if (this.#away) return issuerUnavailable({ detail: this.#reason })
    return keyUnknown(Math.ceil(this.#cooldownMs() / SECOND))
  }

  async #findAfterRefresh(algorithm: SigningAlgorithm, id: string | undefined): Promise<VerificationKey> {
    if (this.#waiting >= MAX_WAITING)
      throw issuerUnavailable({ detail: `${MAX_WAITING} callers wait for keys already` })
    this.#waiting += 1
    try {
      if (this.#refreshing !== undefined) await this.#refreshing
      // What was asked before this caller came may lack its key; what is asked from now on does not.
      const key = this.#select(algorithm, id) ?? (await this.#ask(algorithm, id))
      if (key !== undefined) return key
    } finally {
      this.#waiting -= 1
    }
    if (this.#away) throw this.#unknown()
    throw refusal('the token is signed with a key that its issuer does not publish')
  }

  /** @throws StatusError 503 when the issuer may not be asked now. */
  async #ask(algorithm: SigningAlgorithm, id: string | undefined): Promise<VerificationKey | undefined> {
    if (this.#refreshing === undefined && (this.#failures > 0 || !this.#mayAsk())) throw this.#unknown()
    await this.#refresh()
    return this.#select(algorithm, id)
  }

  /** Never rejects. One at a time; who asks meanwhile gets the one under way. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #load(): Promise<void> {
    clearTimeout(this.#timer)
    try {
      this.#adopt(await this.#options.load(this.#closing.signal))
    } catch (error) {
      this.#failures += 1
      this.#reason = error instanceof Error ? error.message : 'its keys cannot be fetched'
      this.#schedule(Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** (this.#failures - 1)))
    }
    if (this.#closing.signal.aborted) return
    const { ready, reason } = this.readiness
    if (ready === this.#reported.ready && reason === this.#reported.reason) return
    this.#reported = { ready, reason }
    this.#options.onReadinessChange()
  }

  #adopt({ keys, maxAgeSeconds }: PublishedKeys): void {
    const wanted = maxAgeSeconds === undefined ? KEY_AGE_MS.default : maxAgeSeconds * SECOND
    const maxAgeMs = Math.min(Math.max(wanted, KEY_AGE_MS.min), KEY_AGE_MS.max)
    this.#keys = keys
    this.#fingerprints = new Set(keys.map(({ fingerprint }) => fingerprint))
    this.#usableUntilMs = this.#options.clock() + maxAgeMs + STALE_LIMIT_MS
    this.#failures = 0
    this.#reason = ''
    this.#schedule(maxAgeMs)
  }

  #schedule(delayMs: number): void {
    if (this.#closing.signal.aborted) return
    this.#timer = setTimeout(() => void this.#refresh(), delayMs).unref()
  }
}
