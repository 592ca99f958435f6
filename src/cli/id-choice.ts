import { ClientError } from '../client/client-error.ts'

const ID_LENGTH = 36

/** What was named by its id: the whole id, and what is known of it. */
export interface ChosenById<T> {
  readonly id: string
  /** Null for a whole id that is not among those that were seen. */
  readonly found: T | null
}

/**
 * The one that an id or its beginning names. A whole id is taken as it is: who may not list a thing may still act on it.
 *
 * @param noun what it is, as its commands call it: `postern NOUNs list`.
 * @throws ClientError `BadArgument` when there is none, and when several begin so.
 */
export function chooseById<T extends { readonly metadata: { readonly name: string } }>(
  seen: readonly T[],
  beginning: string,
  noun: string,
): ChosenById<T> {
  if (!/^[0-9a-f-]{1,36}$/.test(beginning))
    throw new ClientError('BadArgument', `${JSON.stringify(beginning)} is no id of a ${noun}, nor the beginning of one`)
  const matching = seen.filter(({ metadata }) => metadata.name.startsWith(beginning))
  const [found = null] = matching
  if (matching.length > 1)
    throw new ClientError('BadArgument', `${matching.length} ${noun}s begin with ${beginning}; name more of the id`)
  if (found !== null) return { id: found.metadata.name, found }
  if (beginning.length === ID_LENGTH) return { id: beginning, found: null }
  throw new ClientError('BadArgument', `you see no ${noun} that begins with ${beginning}; postern ${noun}s list tells`)
}
