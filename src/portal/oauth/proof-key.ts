import { createHash, timingSafeEqual } from 'node:crypto'

/** Of SHA-256, base64url (RFC 7636 section 4.2). */
export const CODE_CHALLENGE = /^[\w-]{43}$/
/** @see RFC 7636 section 4.1 */
export const CODE_VERIFIER = /^[\w.~-]{43,128}$/

/** Whether a challenge was made of a verifier with `S256`. */
export function isVerifierOf(verifier: string, challenge: string): boolean {
  const digest = createHash('sha256').update(verifier).digest()
  const expected = Buffer.from(challenge, 'base64url')
  return digest.length === expected.length && timingSafeEqual(digest, expected)
}
