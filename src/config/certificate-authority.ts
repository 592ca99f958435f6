import { z } from 'zod'
import { filePath } from '../document/file-path.ts'

const EXPECTED = 'a path or PEM text'

/** Whether a certificate authority is written out, and not the path of a file. */
export function isPem(written: string): boolean {
  return written.includes('-----BEGIN ')
}

/** Certificates that are trusted: PEM text, or the path of a file with it. */
export const certificateAuthority = z
  .string({ error: EXPECTED })
  .refine((written) => isPem(written) || filePath.safeParse(written).success, {
    error: 'is neither',
    params: { expected: EXPECTED },
  })
  .meta({ title: 'path or PEM', minLength: 1 })
