import { isIP } from 'node:net'
import { z } from 'zod'
import { addressRange, createAddressMatcher } from '../document/address-range.ts'
import { excerpt } from '../kube/quote.ts'
import type { Attributes } from './authorizer.ts'
import { EXTRA_KEY } from './templates.ts'

/** The address of a caller. */
export const callerAddress = z
  .string({ error: 'an address such as 10.1.2.3' })
  .refine((text) => isIP(text) !== 0, { error: 'is no address', params: { expected: 'one such as 10.1.2.3' } })

/** A moment, with its offset from UTC (RFC 3339 section 5.6). */
export const instant = z
  .string({ error: 'a moment such as 2026-07-01T08:00:00Z' })
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)$/, {
    error: 'a moment such as 2026-07-01T08:00:00Z',
  })
  .refine(isOnCalendar, {
    error: 'is on no calendar',
    params: { expected: 'a moment such as 2026-07-01T08:00:00Z' },
  })

/** Key of a further claim, as `claimMappings.extra` names it. */
export const extraKey = z.string().regex(new RegExp(`^${EXTRA_KEY}$`), {
  error: 'a key in lower case, as claimMappings.extra names it',
})

const clock = (pattern: RegExp, expected: string) => z.string({ error: expected }).regex(pattern, { error: expected })

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const

const timeZone = z
  .string({ error: 'a time zone such as Europe/Berlin or UTC' })
  .refine(isTimeZone, { error: 'is no time zone', params: { expected: 'one such as Europe/Berlin or UTC' } })

/** When the rules of a policy are in force. All that is given has to hold. */
export const conditionsSchema = z
  .strictObject({
    sourceIPs: z
      .array(addressRange)
      .min(1)
      .readonly()
      .optional()
      .describe('Ranges of addresses that a caller comes from.'),
    timeOfDay: z
      .strictObject({
        from: clock(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'a time such as "08:00"').describe('Begin, inclusive.'),
        to: clock(/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, 'a time such as "18:00"').describe(
          'End, exclusive. Earlier than `from`: the next day.',
        ),
        timeZone: timeZone.describe('IANA time zone of both.'),
      })
      .refine((time) => time.from !== time.to, {
        error: 'begins and ends at the same time',
        params: { expected: 'two different times' },
      })
      .readonly()
      .optional()
      .describe('Time of day by the clock on the wall.'),
    weekdays: z
      .strictObject({
        days: z.array(z.enum(WEEKDAYS)).min(1).readonly().describe('Days of the week.'),
        timeZone: timeZone.describe('IANA time zone in which a day begins and ends.'),
      })
      .readonly()
      .optional()
      .describe(
        'Days of the week by the calendar on the wall. With `timeOfDay` those on which that time begins: a night of Friday goes on into Saturday.',
      ),
    notBefore: instant.optional().describe('First moment at which the rules are in force: `2026-07-01T08:00:00Z`.'),
    notAfter: instant.optional().describe('Last moment at which the rules are in force.'),
    extra: z
      .record(extraKey, z.array(z.string().min(1).max(256)).min(1).readonly())
      .refine((claims) => Object.keys(claims).length > 0, { error: 'is empty', params: { expected: 'a key' } })
      .readonly()
      .optional()
      .describe('Further claims of the caller: for each key one of these values, exact.'),
  })
  .refine((conditions) => Object.keys(conditions).length > 0, {
    error: 'is empty',
    params: { expected: 'one of sourceIPs, timeOfDay, weekdays, notBefore, notAfter, extra' },
    when: ({ issues }) => issues.length === 0,
  })
  .refine(({ notBefore, notAfter }) => !(Date.parse(notBefore ?? '') > Date.parse(notAfter ?? '')), {
    path: ['notAfter'],
    error: 'is earlier than notBefore',
    params: { expected: 'a later moment' },
    when: ({ issues }) => issues.length === 0,
  })
  .readonly()
  .describe('When the rules of the policy are in force, those that deny included. Default: always.')

export type Conditions = z.output<typeof conditionsSchema>

/** Who asks, from where and when. */
type Circumstances = Pick<Attributes, 'subject' | 'sourceIP' | 'atMs'>

/** What of a request changes while subject and target stay. */
export type Circumstance = 'time' | 'sourceIP'

/** A condition that can be asked whether it holds. */
export interface Condition {
  /** @throws TypeError when the source address is none. */
  readonly holds: (circumstances: Circumstances) => boolean
  /** What is asked for: `a source address in 10.0.0.0/8 and a time from 08:00 to 18:00 Europe/Berlin`. */
  readonly phrase: string
  /** Which of them it looks at. */
  readonly circumstances: readonly Circumstance[]
}

interface Part {
  readonly phrase: string
  readonly circumstance: Circumstance | null
  readonly holds: (circumstances: Circumstances) => boolean
}

/** Compiles the conditions of one policy. Expects what {@link conditionsSchema} accepts. */
export function compileConditions({
  sourceIPs,
  timeOfDay,
  weekdays,
  notBefore,
  notAfter,
  extra,
}: Conditions): Condition {
  const parts: readonly Part[] = [
    ...(sourceIPs === undefined ? [] : [inRanges(sourceIPs)]),
    ...(timeOfDay === undefined ? [] : [atTimeOfDay(timeOfDay)]),
    ...(weekdays === undefined ? [] : [onWeekdays(weekdays, timeOfDay)]),
    ...(notBefore === undefined ? [] : [notBeforeMoment(notBefore)]),
    ...(notAfter === undefined ? [] : [notAfterMoment(notAfter)]),
    ...Object.entries(extra ?? {}).map(([key, values]) => withClaim(key, values)),
  ]
  return {
    holds: (circumstances) => parts.every((part) => part.holds(circumstances)),
    phrase: parts.map((part) => part.phrase).join(' and '),
    circumstances: [...new Set(parts.map((part) => part.circumstance).filter((one) => one !== null))],
  }
}

/** For how many addresses a condition remembers whether it holds. */
const MAX_ADDRESSES = 100

function inRanges(sourceIPs: readonly string[]): Part {
  const includes = createAddressMatcher(sourceIPs)
  const known = new Map<string, boolean>()
  return {
    phrase: `a source address in ${sourceIPs.join(' or ')}`,
    circumstance: 'sourceIP',
    holds: ({ sourceIP }) => {
      let included = known.get(sourceIP)
      if (included === undefined) {
        included = includes(sourceIP)
        if (known.size >= MAX_ADDRESSES) known.clear()
        known.set(sourceIP, included)
      }
      return included
    },
  }
}

type TimeOfDay = NonNullable<Conditions['timeOfDay']>

function atTimeOfDay({ from, to, timeZone: zone }: TimeOfDay): Part {
  const timeAt = eachMinute(wallClock(zone))
  return {
    phrase: `a time from ${from} to ${to} ${zone}`,
    circumstance: 'time',
    holds: ({ atMs }) => {
      const now = timeAt(atMs)
      return from < to ? from <= now && now < to : from <= now || now < to
    },
  }
}

/** With a time of day, by the day on which that begins: a night of Friday goes on into Saturday. */
function onWeekdays({ days, timeZone: zone }: NonNullable<Conditions['weekdays']>, time?: TimeOfDay): Part {
  const calendar = new Intl.DateTimeFormat('en-GB', { timeZone: zone, weekday: 'long' })
  const beginOf = time === undefined ? (atMs: number) => atMs : lastTimeAt(time)
  const dayAt = eachMinute((atMs) => calendar.format(beginOf(atMs)).toLowerCase())
  const allowed: ReadonlySet<string> = new Set(days)
  const overnight = time !== undefined && time.from > time.to
  return {
    phrase: `a ${overnight ? 'night that begins on a ' : ''}${days.join(' or ')} in ${zone}`,
    circumstance: 'time',
    holds: ({ atMs }) => allowed.has(dayAt(atMs)),
  }
}

function notBeforeMoment(moment: string): Part {
  const firstMs = Date.parse(moment)
  return { phrase: `a time from ${moment} on`, circumstance: 'time', holds: ({ atMs }) => atMs >= firstMs }
}

function notAfterMoment(moment: string): Part {
  const lastMs = Date.parse(moment)
  return { phrase: `a time until ${moment}`, circumstance: 'time', holds: ({ atMs }) => atMs <= lastMs }
}

function withClaim(key: string, values: readonly string[]): Part {
  const accepted: ReadonlySet<string> = new Set(values)
  return {
    phrase: `a claim ${key} of ${values.map((value) => excerpt(value)).join(' or ')}`,
    circumstance: null,
    holds: ({ subject: { extra } }) =>
      Object.hasOwn(extra, key) && (extra[key] ?? []).some((value) => accepted.has(value)),
  }
}

const MINUTE_MS = 60_000

const DAY_MINUTES = 24 * 60

/** The time that the clock on the wall shows, as `08:00`. */
function wallClock(zone: string): (atMs: number) => string {
  const onWall = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  return (atMs) => onWall.format(atMs)
}

/** What a clock or a calendar shows is the same for a whole minute in every time zone; asking it costs a microsecond. */
function eachMinute(show: (atMs: number) => string): (atMs: number) => string {
  let lastMinute = NaN
  let shown = ''
  return (atMs) => {
    const minute = Math.floor(atMs / MINUTE_MS)
    if (minute !== lastMinute) {
      shown = show(atMs)
      lastMinute = minute
    }
    return shown
  }
}

/** The moment, to a minute, at which the clock on the wall last showed `from`, or would have if it had not been set then. */
function lastTimeAt({ from, timeZone: zone }: TimeOfDay): (atMs: number) => number {
  const timeAt = wallClock(zone)
  const wanted = minutesOf(from)
  return (atMs) => {
    const ago = (minutesOf(timeAt(atMs)) - wanted + DAY_MINUTES) % DAY_MINUTES
    const guessMs = atMs - ago * MINUTE_MS
    // By as much as the clock was set meanwhile, the guess shows another time.
    const half = DAY_MINUTES / 2
    const off = ((minutesOf(timeAt(guessMs)) - wanted + DAY_MINUTES + half) % DAY_MINUTES) - half
    return Math.min(atMs, guessMs - off * MINUTE_MS)
  }
}

function minutesOf(time: string): number {
  const [hours = '', minutes = ''] = time.split(':')
  return Number(hours) * 60 + Number(minutes)
}

/** A day that a month lacks is taken for one of the next month by `Date.parse`. */
function isOnCalendar(text: string): boolean {
  const day = text.slice(0, 10)
  return !Number.isNaN(Date.parse(text)) && new Date(day).toISOString().startsWith(day)
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
