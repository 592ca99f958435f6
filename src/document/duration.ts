import { z } from 'zod'

declare const unit: unique symbol

/** A span of time in milliseconds; a whole number from 0. */
export type Milliseconds = number & { readonly [unit]: 'ms' }

const DURATION = /^(?=\d)(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?(?:(\d{1,6})ms)?$/
const EXPECTED = 'a duration such as 30s, 8h or 1h30m'
/** Node's timers hold no more, which is close to 24 days and 20 hours. */
const LONGEST_MS = 2 ** 31 - 1

/** The span that `30s`, `8h` or `1h30m` names, or null. Units are d (24 h), h, m, s, ms, each at most once, largest first. */
export function parseDuration(text: string): Milliseconds | null {
  const match = DURATION.exec(text)
  if (match === null) return null
  const [days = 0, hours = 0, minutes = 0, seconds = 0, milliseconds = 0] = match
    .slice(1)
    .map((digits) => Number(digits || 0))
  return ((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + milliseconds) as Milliseconds
}

/** A text that {@link parseDuration} reads as this many milliseconds; hours are its largest unit. */
export function renderDuration(span: Milliseconds): string {
  const parts: [number, string][] = [
    [Math.floor(span / 3_600_000), 'h'],
    [Math.floor(span / 60_000) % 60, 'm'],
    [Math.floor(span / 1000) % 60, 's'],
    [span % 1000, 'ms'],
  ]
  const text = parts.map(([count, name]) => (count === 0 ? '' : `${count}${name}`)).join('')
  return text === '' ? '0s' : text
}

/**
 * A duration with its unit, as milliseconds.
 *
 * @throws TypeError when a bound is not a duration itself.
 */
export function duration(
  bounds: { readonly minimum?: string; readonly maximum?: string } = {},
): z.ZodType<Milliseconds, string> {
  const minimum = bound(bounds.minimum ?? '0s')
  const maximum = bound(bounds.maximum ?? renderDuration(LONGEST_MS as Milliseconds))
  const range = bounds.maximum === undefined ? '' : `, ${renderDuration(minimum)} to ${bounds.maximum}`
  return z
    .string({ error: EXPECTED })
    .regex(DURATION, { error: EXPECTED })
    .meta({ title: `duration${range}` })
    .transform((text, context): Milliseconds => {
      const span = parseDuration(text) ?? minimum
      if (span < minimum || span > maximum) {
        const [side, limit] = span < minimum ? (['at least', minimum] as const) : (['at most', maximum] as const)
        context.issues.push({
          code: 'custom',
          input: text,
          message: `is ${text}`,
          params: { expected: `${side} ${renderDuration(limit)}` },
        })
      }
      return span
    })
}

function bound(text: string): Milliseconds {
  const span = parseDuration(text)
  if (span === null) throw new TypeError(`${text} is not ${EXPECTED}`)
  return span
}
