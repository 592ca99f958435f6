import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { mistakeAt } from '../document/document.ts'
import type { DocumentLines, Mistake } from '../document/document.ts'
import type { DocumentPath } from '../document/document-path.ts'
import { readTextFile } from '../document/text-file.ts'
import { anchorPath } from './surroundings.ts'
import type { AnchoredPath, Surroundings } from './surroundings.ts'

/** The longest file that is read because a document names it, in bytes. */
const MAX_BYTES = 1024 * 1024

/** The files that a document names, each read once. Remembers what could not be read as mistakes. */
export class NamedFiles {
  readonly mistakes: Mistake[] = []
  /** What an operator should look at, though the connector starts with it. */
  readonly warnings: Mistake[] = []
  readonly #lines: DocumentLines
  readonly #directory: string
  readonly #home: string
  readonly #whyHidden: NonNullable<Surroundings['whyHidden']>
  readonly #texts = new Map<string, string>()

  /** `directory` is the document's, absolute; paths in the document are relative to it. */
  constructor(lines: DocumentLines, directory: string, { home, whyHidden = () => '' }: Surroundings) {
    this.#lines = lines
    this.#directory = directory
    this.#home = home
    this.#whyHidden = whyHidden
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

  /**
   * The text of the file that is `written` at `at`; null, and a mistake that names it, when it cannot be read, and null when
   * none is written.
   */
  async read(
    at: DocumentPath,
    written: string | undefined,
    name = this.resolve(written ?? ''),
  ): Promise<string | null> {
    if (written === undefined) return null
    const path = this.resolve(written)
    await this.see(at, path, name)
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

  /** Notes a mistake when whoever runs the connector does not see the file or directory at an absolute path. */
  async see(at: DocumentPath, path: string, name = path): Promise<void> {
    const real = await realpath(path).catch(() => path)
    const why = this.#whyHidden(path) || this.#whyHidden(real)
    if (why !== '') this.refuse(at, `${name} is ${why}`, 'a place such as /etc/postern')
  }

  /** Whether `check`, which throws an Error with one phrase, found nothing wrong; notes a mistake else. */
  attempt(at: DocumentPath, check: () => void): boolean {
    try {
      check()
      return true
    } catch (error) {
      this.refuse(at, error instanceof Error ? error.message : String(error))
      return false
    }
  }

  /** Notes what an operator should look at. */
  warn(at: DocumentPath, problem: string): void {
    this.warnings.push(mistakeAt(this.#lines, at, problem))
  }

  /** Notes a mistake. */
  readonly refuse = (at: DocumentPath, problem: string, expected = ''): void => {
    this.mistakes.push(mistakeAt(this.#lines, at, problem, expected))
  }
}
