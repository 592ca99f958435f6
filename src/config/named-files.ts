import { resolve } from 'node:path'
import { mistakeAt } from '../document/document.ts'
import type { DocumentLines, Mistake } from '../document/document.ts'
import type { DocumentPath } from '../document/document-path.ts'
import { readTextFile } from '../document/text-file.ts'
import { anchorPath } from './surroundings.ts'
import type { AnchoredPath } from './surroundings.ts'

/** The longest file that is read because a document names it, in bytes. */
const MAX_BYTES = 1024 * 1024

/** The files that a document names, each read once. Remembers what could not be read as mistakes. */
export class NamedFiles {
  readonly mistakes: Mistake[] = []
  readonly #lines: DocumentLines
  readonly #directory: string
  readonly #home: string
  readonly #texts = new Map<string, string>()

  /** `directory` is the document's, absolute; paths in the document are relative to it. */
  constructor(lines: DocumentLines, directory: string, home: string) {
    this.#lines = lines
    this.#directory = directory
    this.#home = home
  }

  /** The absolute path of a file, as the document has it. */
  resolve(written: string): string {
    const { base, rest } = this.anchor(written)
    return resolve(base, rest)
  }

  /** The same, split into a part that is taken literally and what the document has. */
  anchor(written: string): AnchoredPath {
    return anchorPath(written, this.#directory, this.#home)
  }

  /** The text of the file that is `written` at `at`; null, and a mistake that names it, when it cannot be read. */
  async read(at: DocumentPath, written: string, name = this.resolve(written)): Promise<string | null> {
    const path = this.resolve(written)
    try {
      const text = this.#texts.get(path) ?? (await readTextFile(path, MAX_BYTES))
      this.#texts.set(path, text)
      return text
    } catch (error) {
      this.refuse(at, `cannot read ${name}: ${error instanceof Error ? error.message : String(error)}`)
      return null
    }
  }

  /** What `read` gave for the same file. */
  text(written: string): string {
    const text = this.#texts.get(this.resolve(written))
    if (text === undefined) throw new TypeError(`${written} was not read`)
    return text
  }

  /** Notes a mistake. */
  readonly refuse = (at: DocumentPath, problem: string, expected = ''): void => {
    this.mistakes.push(mistakeAt(this.#lines, at, problem, expected))
  }
}
