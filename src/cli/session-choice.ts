import { ClientError } from '../client/client-error.ts'
import type { LiveSession } from '../client/portal.ts'

const ID_LENGTH = 36

/** A session that was named: its whole id, and what is known of it. */
export interface ChosenSession {
  readonly id: string
  /** Null for a whole id that is not among the sessions that were seen. */
  readonly session: LiveSession | null
}

/**
 * The session that an id or its beginning names. A whole id is taken as it is: who may not list a session may still end
 * or watch it.
 *
 * @throws ClientError `BadArgument` when there is none, and when several begin so.
 */
export function chooseSession(sessions: readonly LiveSession[], beginning: string): ChosenSession {
  if (!/^[0-9a-f-]{1,36}$/.test(beginning))
    throw new ClientError('BadArgument', `${JSON.stringify(beginning)} is no id of a session, nor the beginning of one`)
  const found = sessions.filter(({ metadata }) => metadata.name.startsWith(beginning))
  const [session = null] = found
  if (found.length > 1)
    throw new ClientError('BadArgument', `${found.length} sessions begin with ${beginning}; name more of the id`)
  if (session !== null) return { id: session.metadata.name, session }
  if (beginning.length === ID_LENGTH) return { id: beginning, session: null }
  throw new ClientError('BadArgument', `you see no session that begins with ${beginning}; postern sessions list tells`)
}
