import { inspect } from 'node:util'
import { z } from 'zod'
import { choice } from './choice.ts'
import { filePath } from './file-path.ts'

const REDACTED = '[redacted]'

/** A value that nothing prints by accident: it shows as `[redacted]` in text, in JSON and under `util.inspect`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself. Call it where the value is used, and keep no copy. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

/** A secret that stands in a file, which may change at any time, or that was given. */
export type SecretText = { readonly file: string } | { readonly value: Secret }

/** What stands in an environment variable's place is never repeated: it may be the secret. */
export const environmentVariable = z
  .string({ error: 'the name of an environment variable' })
  .refine((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name), {
    error: 'is not a name',
    params: { expected: 'the name of an environment variable' },
  })

/** Where a secret is: in a file (surrounding white space does not count), or in an environment variable. */
export type SecretReference = z.output<typeof secretReference>

export const secretReference = choice({
  file: filePath.describe('File that holds the secret. White space around it does not count.'),
  env: environmentVariable.describe('Environment variable that holds the secret.'),
})
