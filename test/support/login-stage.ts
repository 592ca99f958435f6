import { Logins, type LoginsOptions } from '../../src/identity/logins/logins.ts'
import type { Authentication } from '../../src/identity/authenticator.ts'
import type { Cutoff } from '../../src/identity/logins/cutoff.ts'
import type { Login } from '../../src/identity/logins/login.ts'
import { signInOf } from '../../src/identity/logins/sign-in.ts'
import { StatusError } from '../../src/kube/status.ts'

export const ISSUER = 'https://sso.example.com'
export const START_SECONDS = 1_800_000_000

/** Logins on a clock of their own, entered by claims. */
export class LoginStage {
  nowSeconds = START_SECONDS
  readonly changed: string[] = []
  readonly removed: string[] = []
  /** What is written down, by what it is of. */
  readonly cutoffs = new Map<string, Cutoff>()
  readonly logins: Logins
  readonly #options: LoginsOptions

  constructor(options: LoginsOptions = {}) {
    const nameOf = ({ issuer, sub, signIn }: Cutoff): string => JSON.stringify([issuer, sub, signIn])
    const journal = {
      changed: ({ id }: Login) => this.changed.push(id),
      removed: (id: string) => this.removed.push(id),
      cutOff: (cutoff: Cutoff) => this.cutoffs.set(nameOf(cutoff), cutoff),
      cutoffRemoved: (cutoff: Cutoff) => this.cutoffs.delete(nameOf(cutoff)),
      flushed: () => Promise.resolve(),
    }
    this.#options = options
    for (const cutoff of options.kept?.cutoffs ?? []) this.cutoffs.set(nameOf(cutoff), cutoff)
    this.logins = new Logins({ journal, clock: () => this.nowSeconds * 1000, ...options })
  }

  /** A token of now, good for 300 s. */
  enter(claims: Record<string, unknown> = {}): Login {
    const all = { sub: 'ana', iat: this.nowSeconds, ...claims }
    return this.logins.enter(this.authentication(all.sub), signInOf(ISSUER, all))
  }

  authentication(username: string): Authentication {
    const expiresAtMs = (this.nowSeconds + 300) * 1000
    return { subject: { username, uid: '', groups: [], extra: {} }, issuer: ISSUER, expiresAtMs }
  }

  /** What a token is refused with; empty when it is taken. */
  refusal(claims: Record<string, unknown> = {}): string {
    try {
      this.enter(claims)
      return ''
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      return `${error.status.code} ${error.message}`
    }
  }

  /** The same after a restart, in any order. */
  restarted(): LoginStage {
    const logins = this.logins.list().map(({ record }) => record)
    const kept = { logins: logins.toReversed(), cutoffs: [...this.cutoffs.values()].toReversed() }
    const stage = new LoginStage({ ...this.#options, kept })
    stage.nowSeconds = this.nowSeconds
    return stage
  }
}
