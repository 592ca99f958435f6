import type { SecretText } from '../document/secret.ts'
import { readTextFile } from '../document/text-file.ts'

const MAX_SECRET_BYTES = 16 * 1024

/** The secret of a client as it is now: a file is read at each use. While it cannot be read, or is empty, the last one counts. */
export class ClientSecret {
  readonly #source: SecretText
  #last = ''

  constructor(source: SecretText) {
    this.#source = source
  }

  /** @throws Error with one phrase that holds no secret, when there was none yet. */
  async current(): Promise<string> {
    if (!('file' in this.#source)) return this.#source.value.reveal()
    try {
      const secret = (await readTextFile(this.#source.file, MAX_SECRET_BYTES)).trim()
      if (secret === '') throw new Error('it is empty')
      this.#last = secret
    } catch (error) {
      if (this.#last === '') {
        const why = error instanceof Error ? error.message : String(error)
        throw new Error(`cannot read the client secret in ${this.#source.file}: ${why}`, { cause: error })
      }
    }
    return this.#last
  }
}
