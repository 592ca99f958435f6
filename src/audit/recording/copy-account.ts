import type { CopiedFile } from './recording-manifest.ts'

/** Files that are listed, and characters of their paths together; the manifest says how many more there were. */
const MAX_FILES = 10_000
const MAX_PATH_CHARS = 4 * 1024 * 1024

/** The account of the files that a session copied. */
export class CopyAccount {
  readonly #listed: CopiedFile[] = []
  #pathChars = 0
  #dropped = 0

  copied(file: CopiedFile): void {
    if (this.#listed.length === MAX_FILES || this.#pathChars + file.path.length > MAX_PATH_CHARS) {
      this.#dropped++
      return
    }
    this.#pathChars += file.path.length
    this.#listed.push(file)
  }

  get listed(): readonly CopiedFile[] {
    return this.#listed
  }

  get dropped(): number {
    return this.#dropped
  }
}

/** What the recording says of a file, in one line. */
export function describeFile({ direction, type, path, byteLength, hash }: CopiedFile): string {
  return `${direction} of ${type} ${path}: ${byteLength} bytes${hash === '' ? '' : `, ${hash}`}`
}
