import { type Revocation, describeRevocation } from '../identity/logins/login.ts'
import { type Status, failure } from '../kube/status.ts'
import { renderObligedTime } from '../policy/obligations.ts'

/** Why the gateway ends a session, a followed log or a watch, for the person who sees it end. */

export function sessionIdle(timeoutMs: number, rule: string): Status {
  return failure(
    408,
    'Timeout',
    `the session was idle for ${renderObligedTime(timeoutMs)}, as long as rule ${rule} allows`,
  )
}

export function sessionTooLong(durationMs: number, rule: string): Status {
  return failure(408, 'Timeout', `the session lasted ${renderObligedTime(durationMs)}, as long as rule ${rule} allows`)
}

export function loginExpired(): Status {
  return failure(401, 'Unauthorized', 'the login that opened it expired; run the command again to go on')
}

export function loginRevoked(revocation: Revocation): Status {
  return failure(401, 'Unauthorized', describeRevocation(revocation))
}

/** @param reason the new revision's. */
export function noLongerAllowed(reason: string): Status {
  return failure(403, 'Forbidden', `the policy changed and no longer allows this: ${reason}`)
}

/** @param reason the policy's. */
export function noLongerInTime(reason: string): Status {
  return failure(403, 'Forbidden', `the time for which the policy allowed this is over: ${reason}`)
}

/** @param reason the policy's. */
export function noLongerEntitled(reason: string): Status {
  return failure(403, 'Forbidden', `your groups changed, and the policy no longer allows this: ${reason}`)
}

/** @param reason one sentence that says who ended it, and perhaps why. */
export function endedByOperator(reason: string): Status {
  return failure(403, 'Forbidden', reason)
}

export function connectorStopping(): Status {
  return failure(503, 'ServiceUnavailable', 'the connector stops; run the command again to go on')
}

/** @param reason what cannot be read. */
export function sessionUndecodable(reason: string): Status {
  return failure(400, 'BadRequest', `this session must be recorded, and its bytes cannot be: ${reason}`)
}

export function recordingFailed(): Status {
  return failure(503, 'ServiceUnavailable', 'this session must be recorded, and its recording can no longer be kept')
}
