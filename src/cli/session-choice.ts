import type { LiveSession } from '../client/portal.ts'
import { chooseById } from './id-choice.ts'

/** A session that was named: its whole id, and what is known of it. */
export interface ChosenSession {
  readonly id: string
  /** Null for a whole id that is not among the sessions that were seen. */
  readonly session: LiveSession | null
}

/**
 * The session that an id or its beginning names, as {@link chooseById} has it.
 *
 * @throws ClientError `BadArgument` when there is none, and when several begin so.
 */
export function chooseSession(sessions: readonly LiveSession[], beginning: string): ChosenSession {
  const { id, found } = chooseById(sessions, beginning, 'session')
  return { id, session: found }
}
