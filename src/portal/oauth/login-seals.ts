import { createHash, scrypt, type ScryptOptions } from 'node:crypto'
import { promisify } from 'node:util'
import { grantedLogin, pendingLogin, type GrantedLogin, type PendingLogin } from './pending-login.ts'
import { Seal } from './sealing.ts'

const MASTER_BYTES = 32
/** About 0.1 s and 32 MiB, once for each secret: who sees what is sealed with it may guess at it, but each guess costs as much. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

const slowHash = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)

/** What makes text of logins that passes through browsers. */
export interface LoginSeals {
  readonly pending: Seal<PendingLogin>
  readonly granted: Seal<GrantedLogin>
}

/**
 * Seals that are made of a client's secret, so that all connectors that have it open what one of them sealed. What was sealed
 * with one secret does not open with the next.
 */
export class LoginSealsSource {
  readonly #salt: Buffer
  #secret = ''
  #made: Promise<LoginSeals> | null = null

  /** `owner` tells clients apart that have the same secret. */
  constructor(owner: string) {
    this.#salt = createHash('sha256').update(owner).digest()
  }

  of(secret: string): Promise<LoginSeals> {
    if (this.#made === null || secret !== this.#secret) {
      this.#secret = secret
      this.#made = slowHash(secret, this.#salt, MASTER_BYTES, COST).then((master) => ({
        pending: new Seal(master, 'state', pendingLogin),
        granted: new Seal(master, 'code', grantedLogin),
      }))
    }
    return this.#made
  }
}
