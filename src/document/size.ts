import { z } from 'zod'

declare const unit: unique symbol

/** An amount of data in bytes; a whole number from 0. */
export type Bytes = number & { readonly [unit]: 'B' }

const SIZE = /^(\d{1,6})(B|KiB|MiB|GiB)$/
const EXPECTED = 'a size such as 512B, 64KiB or 1MiB'
const BYTES_PER_UNIT = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const

/** The amount that `64KiB` names, or null. Units are B, KiB, MiB and GiB (IEC 80000-13). */
export function parseSize(text: string): Bytes | null {
  const [, digits, name] = SIZE.exec(text) ?? []
  if (digits === undefined || !isUnit(name)) return null
  return (Number(digits) * BYTES_PER_UNIT[name]) as Bytes
}

function isUnit(name: string | undefined): name is keyof typeof BYTES_PER_UNIT {
  return name !== undefined && name in BYTES_PER_UNIT
}

/**
 * A size with its unit, as bytes.
 *
 * @throws TypeError when a bound is not a size itself.
 */
export function size(bounds: { readonly minimum: string; readonly maximum: string }): z.ZodType<Bytes, string> {
  const minimum = bound(bounds.minimum)
  const maximum = bound(bounds.maximum)
  return z
    .string({ error: EXPECTED })
    .regex(SIZE, { error: EXPECTED })
    .meta({ title: `size, ${bounds.minimum} to ${bounds.maximum}` })
    .transform((text, context): Bytes => {
      const amount = parseSize(text) ?? minimum
      if (amount < minimum || amount > maximum) {
        const expected = amount < minimum ? `at least ${bounds.minimum}` : `at most ${bounds.maximum}`
        context.issues.push({ code: 'custom', input: text, message: `is ${text}`, params: { expected } })
      }
      return amount
    })
}

function bound(text: string): Bytes {
  const amount = parseSize(text)
  if (amount === null) throw new TypeError(`${text} is not ${EXPECTED}`)
  return amount
}
