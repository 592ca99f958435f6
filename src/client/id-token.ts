import { ClientError } from './client-error.ts'

/** What this side reads of an ID token. Nothing is decided by it: the gateway verifies tokens. */
export interface IdTokenClaims {
  /** The `sub` claim. */
  readonly subject: string
  /** The `exp` claim, in milliseconds. */
  readonly expiresAtMs: number
  /** From `iat` to `exp`; as {@link expiresAtMs} when there is no `iat`. */
  readonly lifetimeMs: number
}

/**
 * Reads the claims of a JWT without verifying it.
 *
 * @throws ClientError `Unexpected` when it is no JWT or lacks `sub` or `exp`.
 */
export function readIdToken(token: string): IdTokenClaims {
  const claims = payloadOf(token)
  const subject = claims.get('sub')
  const expires = claims.get('exp')
  if (typeof subject !== 'string' || typeof expires !== 'number')
    throw new ClientError('Unexpected', 'the ID token of the identity provider lacks sub or exp; ask its operator')
  const issued = claims.get('iat')
  return {
    subject,
    expiresAtMs: expires * 1000,
    lifetimeMs: (expires - (typeof issued === 'number' ? issued : 0)) * 1000,
  }
}

function payloadOf(token: string): ReadonlyMap<string, unknown> {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return new Map(Object.entries(payload ?? {}))
  } catch (cause) {
    throw new ClientError('Unexpected', 'the ID token of the identity provider is no JWT; ask its operator', { cause })
  }
}
