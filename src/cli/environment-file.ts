import { stat } from 'node:fs/promises'
import { ClientError } from '../client/client-error.ts'
import { readTextFile } from '../document/text-file.ts'

/** Such a file may have at most so many bytes. */
const MAX_ENVIRONMENT_BYTES = 1024 * 1024
/** What a file lets others than its owner do. */
const RIGHTS_OF_OTHERS = 0o077

/**
 * The variables of a file that a unit names as its `EnvironmentFile`; none when there is no such file.
 *
 * @throws ClientError when it cannot be read, or not by its owner alone.
 */
export async function readEnvironmentFile(path: string): Promise<Readonly<Record<string, string>>> {
  const found = await stat(path).catch(() => null)
  if (found === null) return {}
  if ((found.mode & RIGHTS_OF_OTHERS) !== 0)
    throw new ClientError(
      'BadArgument',
      `${path} is not its owner's alone, and may hold secrets; run: chmod 0600 ${path}`,
    )
  try {
    return parseEnvironmentFile(await readTextFile(path, MAX_ENVIRONMENT_BYTES))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ClientError('BadArgument', `cannot read ${path}: ${why}; this needs root`, { cause: error })
  }
}

/**
 * What systemd reads from such a file. What it passes over is passed over.
 *
 * @see systemd.exec(5), EnvironmentFile=; `src/basic/env-file.c` of systemd
 */
export function parseEnvironmentFile(text: string): Readonly<Record<string, string>> {
  const reader = new EnvironmentReader()
  for (let at = 0; at < text.length; at += 1) {
    const escaped = text[at] === '\\' && reader.unescapes
    if (escaped) at += 1
    reader.take(text[at] ?? '', escaped)
  }
  reader.take('', false)
  return reader.variables
}

/** Takes the text a character at a time, with whether a backslash stood before it, and an empty one at the end. */
class EnvironmentReader {
  readonly variables: Record<string, string> = {}
  #place: 'line' | 'comment' | 'name' | 'before value' | 'value' | "'" | '"' = 'line'
  #name = ''
  #value = ''
  /** Length of the value without the white space at its end that nothing keeps there. */
  #kept = 0

  /** Whether a backslash means the character behind it here. */
  get unescapes(): boolean {
    return !['line', 'name', "'"].includes(this.#place)
  }

  take(character: string, escaped: boolean): void {
    const ends = character === '' || (/[\n\r]/.test(character) && !escaped)
    switch (this.#place) {
      case 'line':
        if (/^[#;]/.test(character)) this.#place = 'comment'
        else if (/\S/.test(character)) this.#begin(character)
        break
      case 'comment':
        if (/[\n\r]/.test(character)) this.#place = 'line'
        break
      case 'name':
        if (ends) this.#place = 'line'
        else if (character === '=') this.#place = 'before value'
        else this.#name += character
        break
      case 'before value':
        if (!escaped && (character === "'" || character === '"')) this.#place = character
        else if (ends) this.#end()
        else if (escaped || /\S/.test(character)) {
          this.#place = 'value'
          this.#add(character, escaped)
        }
        break
      case 'value':
        if (ends) this.#end()
        else this.#add(character, escaped)
        break
      case "'":
      case '"':
        if (character === '') this.#end()
        else if (character === this.#place && !escaped) this.#place = 'before value'
        else this.#addQuoted(character, escaped)
    }
  }

  #begin(character: string): void {
    this.#place = 'name'
    this.#name = character
    this.#value = ''
    this.#kept = 0
  }

  /** An escaped line end continues the line. */
  #add(character: string, escaped: boolean): void {
    if (escaped && /[\n\r]/.test(character)) return
    this.#value += character
    if (escaped || /\S/.test(character)) this.#kept = this.#value.length
  }

  /** In quotes a backslash stays, unless it is before what would mean something there. */
  #addQuoted(character: string, escaped: boolean): void {
    if (escaped && character === '\n') return
    this.#value += escaped && !'"\\`$'.includes(character) ? `\\${character}` : character
    this.#kept = this.#value.length
  }

  #end(): void {
    const name = this.#name.trim()
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) this.variables[name] = this.#value.slice(0, this.#kept)
    this.#place = 'line'
  }
}
