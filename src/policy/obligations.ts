import { type Milliseconds, renderDuration } from '../document/duration.ts'
import type { Obligations } from './authorizer.ts'

/** What a rule demands of the sessions that it allows; times in milliseconds. */
interface SessionDemands {
  readonly record?: Obligations['record'] | undefined
  readonly maxDuration?: number | undefined
  readonly idleTimeout?: number | undefined
  readonly maxConcurrent?: number | undefined
}

/**
 * What satisfies every rule that allows: the strictest recording, the shortest times and the smallest number that any of them names. Undefined
 * is a rule without demands, which leaves everything to the socket.
 */
export function strictest(demands: readonly (SessionDemands | undefined)[]): Obligations {
  const record = strictestRecord(demands.map((demand) => demand?.record))
  const maxDurationMs = least(demands.map((demand) => demand?.maxDuration))
  const idleTimeoutMs = least(demands.map((demand) => demand?.idleTimeout))
  const maxConcurrent = least(demands.map((demand) => demand?.maxConcurrent))
  return {
    ...(record === undefined ? {} : { record }),
    ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(maxConcurrent === undefined ? {} : { maxConcurrent }),
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

/** Such as `8h` or `1h30m`, for a time of {@link Obligations}. */
export function renderObligedTime(timeMs: number): string {
  return renderDuration(timeMs as Milliseconds)
}

function least(numbers: readonly (number | undefined)[]): number | undefined {
  const given = numbers.filter((number) => number !== undefined)
  return given.length === 0 ? undefined : Math.min(...given)
}
