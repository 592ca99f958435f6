import { z } from 'zod'

/** How long a person may take at the issuer, in milliseconds. */
export const LOGIN_LIFETIME_MS = 10 * 60_000
/** How long the command may take to trade its code, in milliseconds. */
export const CODE_LIFETIME_MS = 60_000

const common = {
  /** Where the command waits. */
  redirectURI: z.string(),
  /** Of the command's own PKCE verifier, base64url of SHA-256. */
  codeChallenge: z.string(),
  /** The command's; it comes back in the ID token. */
  nonce: z.string(),
  /** Of the portal's own PKCE, for the issuer alone. */
  codeVerifier: z.string(),
  /** Milliseconds since the epoch. */
  expiresAtMs: z.number(),
}

export const pendingLogin = z.strictObject({
  ...common,
  /** The command's, which gets it back. */
  state: z.string(),
  /** Of the cookie of the browser that it began in, base64url of SHA-256. */
  browser: z.string(),
})

export const grantedLogin = z.strictObject({ ...common, /** The issuer's own. */ code: z.string() })

/** A login that a browser took to the issuer: what `state` there holds. */
export type PendingLogin = z.infer<typeof pendingLogin>
/** A login that came back from the issuer: what the command's code holds. */
export type GrantedLogin = z.infer<typeof grantedLogin>
