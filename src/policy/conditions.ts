import { BlockList, isIP } from 'node:net'
import { z } from 'zod'

const addressRange = z
  .string({ error: 'an address range such as 10.0.0.0/8' })
  .refine((text) => parseRange(text) !== null, {
    error: 'is no address range',
    params: { expected: 'a range such as 10.0.0.0/8 or 2001:db8::/32, or one address' },
  })

/** The address of a caller. */
export const address = z
  .string({ error: 'an address such as 10.1.2.3' })
  .refine((text) => isIP(text) !== 0, { error: 'is no address', params: { expected: 'one such as 10.1.2.3' } })

/** A moment, with its offset from UTC (RFC 3339 section 5.6). */
export const instant = z
  .string({ error: 'a moment such as 2026-07-01T08:00:00Z' })
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)$/, {
    error: 'a moment such as 2026-07-01T08:00:00Z',
  })
  .refine((text) => !Number.isNaN(Date.parse(text)), {
    error: 'is on no calendar',
    params: { expected: 'a moment such as 2026-07-01T08:00:00Z' },
  })

/** Key of a further claim, as `claimMappings.extra` names it. */
export const extraKey = z.string().regex(/^[a-z0-9](?:[a-z0-9._/-]{0,251}[a-z0-9])?$/, {
  error: 'a key in lower case, as claimMappings.extra names it',
})

const clock = (pattern: RegExp, expected: string) => z.string({ error: expected }).regex(pattern, { error: expected })

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
        timeZone: z
          .string({ error: 'a time zone such as Europe/Berlin or UTC' })
          .refine(isTimeZone, { error: 'is no time zone', params: { expected: 'one such as Europe/Berlin or UTC' } })
          .describe('IANA time zone of both.'),
      })
      .refine((time) => time.from !== time.to, {
        error: 'begins and ends at the same time',
        params: { expected: 'two different times' },
      })
      .readonly()
      .optional()
      .describe('Time of day by the clock on the wall.'),
  })
  .refine((conditions) => Object.keys(conditions).length > 0, {
    error: 'is empty',
    params: { expected: 'sourceIPs or timeOfDay' },
    when: ({ issues }) => issues.length === 0,
  })
  .readonly()
  .describe('When the rules of the policy are in force, those that deny included. Default: always.')

export type Conditions = z.output<typeof conditionsSchema>

/** From where and when a request comes. */
export interface Circumstances {
  /** Address of the client, as text without a port. */
  readonly sourceIP: string
  /** Milliseconds since the epoch. */
  readonly atMs: number
}

/** A condition that can be asked whether it holds. */
export interface Condition {
  /** @throws TypeError when the source address is none. */
  readonly holds: (circumstances: Circumstances) => boolean
  /** What is asked for: `a source address in 10.0.0.0/8 and a time from 08:00 to 18:00 Europe/Berlin`. */
  readonly phrase: string
}

/** Compiles the conditions of one policy. Expects what {@link conditionsSchema} accepts. */
export function compileConditions({ sourceIPs, timeOfDay }: Conditions): Condition {
  const parts: { readonly phrase: string; readonly holds: (circumstances: Circumstances) => boolean }[] = []
  if (sourceIPs !== undefined) {
    const ranges = blockList(sourceIPs)
    parts.push({
      phrase: `a source address in ${sourceIPs.join(' or ')}`,
      holds: ({ sourceIP }) => includesAddress(ranges, sourceIP),
    })
  }
  if (timeOfDay !== undefined) {
    const { from, to, timeZone } = timeOfDay
    const wallClock = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    parts.push({
      phrase: `a time from ${from} to ${to} ${timeZone}`,
      holds: ({ atMs }) => {
        const now = wallClock.format(atMs)
        return from < to ? from <= now && now < to : from <= now || now < to
      },
    })
  }
  return {
    holds: (circumstances) => parts.every((part) => part.holds(circumstances)),
    phrase: parts.map((part) => part.phrase).join(' and '),
  }
}

function includesAddress(ranges: BlockList, sourceIP: string): boolean {
  const [address = ''] = sourceIP.split('%')
  const family = familyOf(address)
  if (family === null) throw new TypeError('the source address of a request is not an address')
  return ranges.check(address, family)
}

function blockList(texts: readonly string[]): BlockList {
  const ranges = new BlockList()
  for (const text of texts) {
    const range = parseRange(text)
    if (range === null) throw new TypeError(`${text} is not an address range`)
    ranges.addSubnet(range.address, range.prefix, range.family)
  }
  return ranges
}

interface Range {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

function parseRange(text: string): Range | null {
  const [, address = '', length] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = familyOf(address)
  if (family === null) return null
  const longest = family === 'ipv4' ? 32 : 128
  const prefix = length === undefined ? longest : Number(length)
  return prefix > longest ? null : { address, prefix, family }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  const version = isIP(address)
  if (version === 0) return null
  return version === 4 ? 'ipv4' : 'ipv6'
}

function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
