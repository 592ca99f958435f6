import { createHash } from 'node:crypto'
import { readTextFile } from '../document/text-file.ts'

/**
 * The text of a file of at most `maxBytes`, as UTF-8.
 *
 * @throws Error with one phrase: which file, and why it cannot be read
 */
export async function readSmallFile(path: string, maxBytes: number): Promise<string> {
  try {
    return await readTextFile(path, maxBytes)
  } catch (error) {
    throw new Error(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** Reads small files and remembers which, and a digest of what they held. */
export class FilesRead {
  readonly #digests = new Map<string, string>()

  /** @throws as {@link readSmallFile}; the file is remembered all the same. */
  async read(path: string, maxBytes: number): Promise<string> {
    this.#digests.set(path, '')
    const text = await readSmallFile(path, maxBytes)
    this.#digests.set(path, createHash('sha256').update(text).digest('hex'))
    return text
  }

  /** As {@link read}, but null when there is no such file; it is remembered all the same. */
  async readIfThere(path: string, maxBytes: number): Promise<string | null> {
    try {
      return await this.read(path, maxBytes)
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  get paths(): readonly string[] {
    return [...this.#digests.keys()]
  }

  /** The same for the same files with the same text. */
  get digest(): string {
    return JSON.stringify([...this.#digests].toSorted())
  }
}

/** Whether an error, or what caused it, says that there is no such file. */
function isMissing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && error.code === 'ENOENT') || isMissing(error.cause)
}
