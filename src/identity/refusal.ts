import { failure, type PrivateDetail, serviceUnavailable, StatusError, unauthorized } from '../kube/status.ts'

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

/** A 503 for a token whose key may have been published since the issuer was asked. It says when it can be asked again. */
export function keyUnknown(retryAfterSeconds: number): StatusError {
  const message = 'the token is signed with a key that is not known here yet; try again shortly'
  return new StatusError(failure(503, 'ServiceUnavailable', message, { retryAfterSeconds }))
}

/** A 401 for somebody in more groups than are taken, wherever the groups come from. */
export function tooManyGroups(maxGroups: number, options: PrivateDetail): StatusError {
  return refusal(
    `you are in more than ${maxGroups} groups, which is more than is decided on; an administrator at the issuer has to ` +
      'limit those in tokens to the ones assigned to this application, or use application roles',
    options,
  )
}
