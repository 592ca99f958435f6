import type { Authentication } from './authenticator.ts'
import type { SignIn } from './logins/sign-in.ts'

/** A token that holds, and for how long that may be taken for granted. */
export interface VerifiedToken {
  readonly authentication: Authentication
  /** Which login it belongs to; absent for machines, which do not sign in. */
  readonly signIn?: SignIn
  /** When it has to be verified again, in milliseconds since the epoch; not after the credential ends. */
  readonly cachedUntilMs: number
  /** False when what the token rests on was withdrawn since; it has to be verified again then. */
  stillHolds(): boolean
}
