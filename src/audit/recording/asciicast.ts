import type { JsonEscaping } from './json-escaping.ts'
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

/**
 * The same for text that is bytes already: UTF-8 of at most `MAX_TEXT_BYTES`. What comes back is valid until the next
 * call with that escaping.
 */
export function renderTextEvent(
  escaping: JsonEscaping,
  atMicros: number,
  code: EventCode,
  text: Uint8Array,
): Uint8Array {
  return escaping.escape(`[${renderTime(atMicros)},"${code}","`, text, '"]\n')
}

export function renderSize(size: TerminalSize): string {
  return `${size.columns}x${size.rows}`
}

function renderTime(atMicros: number): string {
  const seconds = Math.floor(atMicros / 1_000_000)
  return `${seconds}.${String(atMicros - seconds * 1_000_000).padStart(6, '0')}`
}
