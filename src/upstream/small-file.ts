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
