import type { StatusError } from '../kube/status.ts'
import type { SigningAlgorithm } from './issuer-options.ts'
import { issuerUnavailable, refusal } from './refusal.ts'
import type { VerificationKey } from './verification-key.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Bounds on what the issuer's Cache-Control may ask for, and what holds when it asks for nothing. */
export const KEY_AGE_MS = { min: MINUTE, default: 10 * MINUTE, max: 24 * HOUR }
/** How long keys serve on, after they should have been fetched anew, while the issuer cannot be reached. */
export const STALE_LIMIT_MS = HOUR
/** A token with an unknown key makes us ask the issuer at most this often. */
export const REFRESH_COOLDOWN_MS = 10 * SECOND
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
  #triedAtMs = -Infinity
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
   * @throws StatusError 401 when the issuer publishes no such key, 503 when that cannot be known now.
   */
  find(algorithm: SigningAlgorithm, id: string | undefined): VerificationKey | Promise<VerificationKey> {
    const key = this.#select(algorithm, id)
    if (key !== undefined) return key
    const cooling = this.#options.clock() - this.#triedAtMs < REFRESH_COOLDOWN_MS
    if (this.#refreshing === undefined && cooling) throw this.#absence()
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

  #absence(): StatusError {
    if (!this.#usable || this.#failures > 0) return issuerUnavailable({ detail: this.#reason })
    return refusal('the token is signed with a key that its issuer does not publish')
  }

  async #findAfterRefresh(algorithm: SigningAlgorithm, id: string | undefined): Promise<VerificationKey> {
    if (this.#waiting >= MAX_WAITING)
      throw issuerUnavailable({ detail: `${MAX_WAITING} callers wait for keys already` })
    this.#waiting += 1
    try {
      await this.#refresh()
    } finally {
      this.#waiting -= 1
    }
    const key = this.#select(algorithm, id)
    if (key === undefined) throw this.#absence()
    return key
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
    this.#triedAtMs = this.#options.clock()
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
