import { firstValue, type Query } from '../kube/query.ts'
import { badRequest } from '../kube/status.ts'

/** Objects of one answer. A list of more has a token for the next. */
const MAX_PAGE = 200
const CONTINUE = /^(\d{1,15})\.([0-9a-f-]{36})$/

/** Where an object stands in a list that has the newest first. */
export interface Place {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly atMs: number
}

/** Which part of a list is asked for. */
export interface WantedPage {
  readonly limit: number
  /** The last object of the page before; null for the first page. */
  readonly after: Place | null
}

/**
 * Reads `limit` and `continue`.
 *
 * @throws StatusError 400.
 */
export function wantedPage(query: Query): WantedPage {
  const limit = firstValue(query, 'limit') ?? ''
  if (!/^\d{0,15}$/.test(limit)) throw badRequest('limit is no number')
  const token = firstValue(query, 'continue') ?? ''
  const match = CONTINUE.exec(token)
  if (token !== '' && match === null) throw badRequest('continue is no token of this list')
  return {
    limit: Math.min(Number(limit) || MAX_PAGE, MAX_PAGE),
    after: match === null ? null : { atMs: Number(match[1]), id: match[2] ?? '' },
  }
}

/**
 * A page of those that may be seen, newest first. `rest` is the token for what follows; empty at the end.
 */
export function pageOf<T>(
  all: readonly T[],
  {
    placeOf,
    isSeen,
    limit,
    after,
  }: WantedPage & { readonly placeOf: (one: T) => Place; readonly isSeen: (one: T) => boolean },
): { readonly page: readonly T[]; readonly rest: string } {
  const page: T[] = []
  for (const one of all.toSorted((a, b) => newestFirst(placeOf(a), placeOf(b)))) {
    if (after !== null && newestFirst(after, placeOf(one)) >= 0) continue
    if (!isSeen(one)) continue
    const last = page.at(-1)
    if (last !== undefined && page.length === limit) return { page, rest: continueToken(placeOf(last)) }
    page.push(one)
  }
  return { page, rest: '' }
}

function newestFirst(a: Place, b: Place): number {
  return b.atMs - a.atMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

function continueToken({ atMs, id }: Place): string {
  return `${atMs}.${id}`
}
