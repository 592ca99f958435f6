import { z } from 'zod'

const EXPECTED = 'a path'
const MAX_LENGTH = 4096

/**
 * A path as it is written: absolute, relative to the document's directory, or below the home directory (`~/`). What
 * does not look like one is not repeated: it may be the file's contents.
 */
export const filePath = z
  .string({ error: EXPECTED })
  .refine((path) => path !== '', { error: 'is empty', params: { expected: EXPECTED } })
  .refine((path) => path.length <= MAX_LENGTH && !/\p{Cc}/u.test(path), {
    error: 'is too long or has line breaks',
    params: { expected: EXPECTED },
  })
  .meta({ title: 'path', minLength: 1 })
