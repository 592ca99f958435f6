import type { Obligations } from './authorizer.ts'

/** What a rule demands of the sessions that it allows; times in milliseconds. */
interface SessionDemands {
  readonly record?: Obligations['record'] | undefined
  readonly maxDuration?: number | undefined
  readonly idleTimeout?: number | undefined
}

/**
 * What satisfies every rule that allows: the strictest recording and the shortest times that any of them names. Undefined
 * is a rule without demands, which leaves everything to the socket.
 */
export function strictest(demands: readonly (SessionDemands | undefined)[]): Obligations {
  const record = strictestRecord(demands.map((demand) => demand?.record))
  const maxDurationMs = shortest(demands.map((demand) => demand?.maxDuration))
  const idleTimeoutMs = shortest(demands.map((demand) => demand?.idleTimeout))
  return {
    ...(record === undefined ? {} : { record }),
    ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
  }
}

/**
 * A rule that leaves recording to the socket may mean `required` or nothing at all: beside `off` the socket's default is
 * at least as strict, beside `best-effort` only `required` is.
 */
function strictestRecord(records: readonly Obligations['record'][]): Obligations['record'] {
  const open = records.includes(undefined)
  if (records.includes('required')) return 'required'
  if (records.includes('best-effort')) return open ? 'required' : 'best-effort'
  return open ? undefined : 'off'
}

function shortest(times: readonly (number | undefined)[]): number | undefined {
  const given = times.filter((time) => time !== undefined)
  return given.length === 0 ? undefined : Math.min(...given)
}
