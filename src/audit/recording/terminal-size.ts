/** In character cells. */
export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** What a terminal has that told no size yet. */
export const DEFAULT_TERMINAL_SIZE: TerminalSize = { columns: 80, rows: 24 }

/** Columns or rows; what is told beyond is taken down to it, so that no recording makes its player build a huge screen. */
const MAX_CELLS = 1000

/** Characters of one JSON object of the resize stream; kubectl's have 30. */
const MAX_OBJECT_CHARS = 256

/**
 * Reads the resize stream of an exec or attach: JSON objects such as `{"Width":80,"Height":24}`, one after the other,
 * split anywhere. What is no such object is passed over. Go's decoder does not go on behind what is no JSON at all, and
 * this may not either.
 *
 * @see k8s.io/client-go `tools/remotecommand/v3.go`, k8s.io/cri-streaming `pkg/streaming/remotecommand`
 */
export class TerminalSizeReader {
  /** From the `{` of an object on, without blanks. */
  #object = ''
  /** Braces that are open; 0 between objects. */
  #depth = 0
  #inString = false
  #escaped = false

  /** Returns the last size that the chunk completes; null when it completes none. */
  push(chunk: Uint8Array): TerminalSize | null {
    let size: TerminalSize | null = null
    for (const byte of chunk) {
      const character = String.fromCharCode(byte)
      if (this.#depth === 0 && character !== '{') continue
      if (this.#depth === 0) this.#object = ''
      const isBlank = !this.#inString && /\s/.test(character)
      if (!isBlank && this.#object.length <= MAX_OBJECT_CHARS) this.#object += character
      this.#track(character)
      if (this.#depth === 0 && this.#object.length <= MAX_OBJECT_CHARS) size = parseSize(this.#object) ?? size
    }
    return size
  }

  #track(character: string): void {
    if (this.#escaped) this.#escaped = false
    else if (character === '"') this.#inString = !this.#inString
    else if (this.#inString) this.#escaped = character === '\\'
    else if (character === '{') this.#depth += 1
    else if (character === '}') this.#depth -= 1
  }
}

function parseSize(object: string): TerminalSize | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(object)
  } catch {
    return null
  }
  let columns = 0
  let rows = 0
  // Go reads the names of fields whatever their case.
  for (const [name, value] of Object.entries(parsed as object)) {
    if (name.toLowerCase() === 'width') columns = cells(value)
    else if (name.toLowerCase() === 'height') rows = cells(value)
  }
  return columns === 0 || rows === 0 ? null : { columns, rows }
}

function cells(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? Math.min(value, MAX_CELLS) : 0
}
