import type { TerminalSize } from './terminal-size.ts'

/**
 * Codes of the events of an asciicast v2: output, input, resize (`COLUMNSxROWS`), marker. `e` is our own, which players
 * pass over: it stands before an output event and names the stream that this came from, when it was not stdout.
 *
 * @see https://docs.asciinema.org/manual/asciicast/v2/
 */
export type EventCode = 'o' | 'i' | 'r' | 'm' | 'e'

/** The first line of an asciicast v2, with its newline. The timestamp is in milliseconds since the epoch. */
export function renderHeader(size: TerminalSize, timestampMs: number, title: string, command: string): string {
  const header = {
    version: 2,
    width: size.columns,
    height: size.rows,
    timestamp: Math.floor(timestampMs / 1000),
    ...(command === '' ? {} : { command }),
    title,
  }
  return JSON.stringify(header) + '\n'
}

/** One event as a line with its newline. The time is in microseconds since the start. */
export function renderEvent(atMicros: number, code: EventCode, data: string): string {
  return `[${renderTime(atMicros)},"${code}",${JSON.stringify(data)}]\n`
}

export function renderSize(size: TerminalSize): string {
  return `${size.columns}x${size.rows}`
}

function renderTime(atMicros: number): string {
  const seconds = Math.floor(atMicros / 1_000_000)
  return `${seconds}.${String(atMicros - seconds * 1_000_000).padStart(6, '0')}`
}

/** Bytes of text in one event; longer text becomes several. */
export const MAX_EVENT_BYTES = 16_384

/** Bytes that the escaped form of a byte takes at most: `\u001b`. */
const MAX_ESCAPED_BYTES = 6

/** The letter behind the backslash of the bytes that have a short escaped form; 0 for the others. */
const SHORT_ESCAPES = Uint8Array.from({ length: 0x80 }, (_, byte) => {
  const escaped = JSON.stringify(String.fromCharCode(byte)).slice(1, -1)
  return escaped.length === 2 ? escaped.charCodeAt(1) : 0
})

/**
 * Renders events of text, which may be gigabytes: about twice as fast as `JSON.stringify`, as it looks at four bytes
 * at a time and copies them when none has to be escaped.
 */
export class TextEventRenderer {
  #line = Buffer.alloc(0)
  #view = new DataView(this.#line.buffer)

  /** The text is valid UTF-8 of at most {@link MAX_EVENT_BYTES}. Returns the line with its newline as UTF-8 that is valid
   * until the next call. */
  render(atMicros: number, code: EventCode, text: Uint8Array): Uint8Array {
    const head = `[${renderTime(atMicros)},"${code}","`
    this.#reserve(head.length + text.length * MAX_ESCAPED_BYTES + 3)
    const line = this.#line
    let end = line.write(head, 'latin1')
    end = escapeInto(this.#view, end, text)
    end += line.write('"]\n', end, 'latin1')
    return line.subarray(0, end)
  }

  #reserve(byteLength: number): void {
    if (byteLength <= this.#line.length) return
    const arrayBuffer = new ArrayBuffer(2 ** Math.ceil(Math.log2(byteLength)))
    this.#line = Buffer.from(arrayBuffer)
    this.#view = new DataView(arrayBuffer)
  }
}

/** Writes the escaped form of the text from `at` on. Returns where it ends. */
function escapeInto(target: DataView, at: number, text: Uint8Array): number {
  const source = new DataView(text.buffer, text.byteOffset, text.byteLength)
  const lastWord = text.length - 4
  let end = at
  let i = 0
  while (i <= lastWord) {
    const word = source.getInt32(i, true)
    const special = specialBytes(word)
    // What stands behind the first special byte is written over.
    target.setInt32(end, word, true)
    if (special === 0) {
      end += 4
      i += 4
    } else {
      const before = (31 - Math.clz32(special & -special)) >> 3
      end = escapeByte(target, end + before, source.getUint8(i + before))
      i += before + 1
    }
  }
  for (; i < text.length; i++) end = escapeByte(target, end, source.getUint8(i))
  return end
}

/** Not zero when a byte of the word is below 0x20, a quote or a backslash. */
function specialBytes(word: number): number {
  const quotes = word ^ 0x22222222
  const backslashes = word ^ 0x5c5c5c5c
  // The high bit of a byte tells a borrow: it was below 0x20, respectively zero after the XOR.
  const borrowed =
    ((word - 0x20202020) & ~word) | ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes)
  return borrowed & 0x80808080
}

function escapeByte(target: DataView, at: number, byte: number): number {
  if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) {
    target.setUint8(at, byte)
    return at + 1
  }
  target.setUint8(at, 0x5c)
  const letter = SHORT_ESCAPES[byte] ?? 0
  if (letter !== 0) {
    target.setUint8(at + 1, letter)
    return at + 2
  }
  // `u00` and two digits, the first of which is 0 or 1.
  target.setUint8(at + 1, 0x75)
  target.setUint16(at + 2, 0x3030)
  target.setUint8(at + 4, 0x30 + (byte >> 4))
  target.setUint8(at + 5, (byte & 0xf) + ((byte & 0xf) < 10 ? 0x30 : 0x57))
  return at + 6
}
