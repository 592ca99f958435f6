import type { ClientError } from './client-error.ts'

/** How the gateway ends its answer to those whose login was revoked. */
const ADVICE = /; sign in again with "postern client login"$/

/** Whether the portal refused a token since its login was revoked. */
export function isRevoked({ code, message }: ClientError): boolean {
  return code === 'NotSignedIn' && ADVICE.test(message)
}

/** The same without what to do about it. */
export function whyRevoked({ message }: ClientError): string {
  return message.replace(ADVICE, '')
}
