import { z } from 'zod'
import { choice } from '../document/choice.ts'
import { duration } from '../document/duration.ts'
import { filePath } from '../document/file-path.ts'
import { httpsURL } from '../document/https-url.ts'
import { size } from '../document/size.ts'

const BUCKET_EXPECTED = 'the name of a bucket'
const name = (expected: string, pattern: RegExp) => z.string({ error: expected }).regex(pattern, { error: expected })

const PATTERN_EXPECTED = 'a regular expression of JavaScript'
const pattern = z.string({ error: PATTERN_EXPECTED }).min(1).max(512).refine(isPattern, { error: PATTERN_EXPECTED })

function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u')
    return true
  } catch {
    return false
  }
}

const s3 = z
  .strictObject({
    bucket: name(BUCKET_EXPECTED, /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/).describe('Bucket that the recordings go to.'),
    region: name('a region such as eu-central-1', /^[a-z0-9-]{1,64}$/).describe('Region of the bucket.'),
    prefix: name('a prefix of object keys such as postern/', /^[\w!.*'()/-]{0,512}$/)
      .default('')
      .describe('What every object key begins with.'),
    endpoint: httpsURL.optional().describe('Address of an S3-compatible server. Default: that of AWS for the region.'),
    forcePathStyle: z
      .boolean()
      .default(false)
      .describe('Whether the bucket stands in the path instead of the host name, as most other servers want it.'),
    spool: filePath.describe(
      'Directory in which a recording is kept while its session runs, and until the bucket has it.',
    ),
    maxSpoolSize: size({ minimum: '1MiB', maximum: '1024GiB' })
      .prefault('10GiB')
      .describe('Above it nothing more is recorded until the bucket takes recordings again.'),
  })
  .describe('An S3 bucket. Credentials come from the environment, as the AWS SDK finds them.')

/** Where recordings go, how they are sealed and how long they stay. */
export const recordingsSchema = z
  .strictObject({
    store: choice({
      directory: filePath.describe('A directory, made when it is missing, that nobody else writes to.'),
      s3,
    }).describe('Where recordings are kept.'),
    encryption: z
      .strictObject({
        publicKey: filePath.describe(
          'PEM or JWK file of the public key to which recordings are encrypted. Whoever holds its private key plays them.',
        ),
      })
      .optional()
      .describe('Encryption at rest. Default: none.'),
    retention: z
      .strictObject({
        maxAge: duration({ minimum: '1h', maximum: '36500d' })
          .optional()
          .describe('Recordings that are older are deleted.'),
        maxSize: size({ minimum: '1MiB', maximum: '999999GiB' })
          .optional()
          .describe('While all recordings together are larger, the oldest is deleted.'),
      })
      .prefault({})
      .describe('Which recordings are deleted. Default: none.'),
    maskInput: z
      .array(pattern)
      .max(50)
      .default([])
      .describe('Regular expressions of what is masked in recorded input, beside what is known to be a secret.'),
  })
  .describe('Where the recordings of sessions are kept.')
