import { type PrivateDetail, type StatusError, serviceUnavailable, unauthorized } from '../kube/status.ts'

const ADVICE = '; sign in with "postern client login"'

/**
 * A 401 whose message says what was wrong and what to do. kubectl prints it after `error: You must be logged in to the
 * server`.
 *
 * @param sentence one plain sentence without a full stop. It repeats nothing of the token but its times.
 */
export function refusal(sentence: string, options?: PrivateDetail): StatusError {
  return unauthorized(`${sentence}${ADVICE}`, options)
}

/** The message of a {@link refusal} for whoever has nothing to sign in with. */
export function withoutAdvice(message: string): string {
  return message.endsWith(ADVICE) ? message.slice(0, -ADVICE.length) : message
}

/** A 401 for a credential that nobody signs in for: no page would help. */
export function machineRefusal(sentence: string, options?: PrivateDetail): StatusError {
  return unauthorized(sentence, options)
}

/** A 503 for somebody whose groups cannot be looked up now: without them a rule that denies could be escaped. */
export function groupsUnavailable(options: PrivateDetail): StatusError {
  return serviceUnavailable(
    'your groups cannot be looked up now, and nothing is decided without; try again shortly',
    options,
  )
}

/** A 503 for a credential that cannot be checked now, which is no reason to sign in again. */
export function issuerUnavailable(options: PrivateDetail): StatusError {
  const message = 'the identity provider cannot be reached, so the token cannot be checked; try again shortly'
  return serviceUnavailable(message, options)
}
