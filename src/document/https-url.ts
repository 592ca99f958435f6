import { z } from 'zod'

const PATTERN = /^https:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/
const EXPECTED = 'an https:// URL without user, query and fragment'
const ORIGIN_PATTERN = /^https:\/\/[^\s/?#@]+\/?$/
const ORIGIN_EXPECTED = 'an https:// URL of a host and perhaps a port, nothing more'

/**
 * An `https://` URL, kept byte for byte as it is written, since issuers are compared so. What is refused is not
 * repeated when it may hold a password.
 */
export const httpsURL: z.ZodType<string, string> = url(PATTERN, EXPECTED)

/** The origin of an `https://` URL (RFC 6454), without a slash at the end. */
export const httpsOrigin: z.ZodType<string, string> = url(ORIGIN_PATTERN, ORIGIN_EXPECTED).transform(
  (text) => new URL(text).origin,
)

function url(pattern: RegExp, expected: string): z.ZodType<string, string> {
  return z
    .string({ error: expected })
    .refine((text) => !text.includes('@'), { error: 'has an @', params: { expected }, abort: true })
    .regex(pattern, { error: expected })
    .refine((text) => !pattern.test(text) || URL.canParse(text), { error: 'is not a URL', params: { expected } })
    .meta({ title: 'https URL', format: 'uri' })
}
