import type { AsciicastEvent } from './asciicast-reader.ts'
import { PlainTextRenderer } from './plain-text.ts'

/** Where a text appears in a recording. */
export interface RecordingMatch {
  /** When it was first there to see, since the session's start. */
  readonly timeMs: number
  /** The line it is in, as it stood then or when it was left; without controls. */
  readonly line: string
}

const MAX_MATCHES = 10_000
const MAX_LINE_LENGTH = 500

/**
 * Finds the lines in which a text appears, in any case, in what is left of the output without escape sequences; one
 * match a line, in order. `dropped` more were found than may be listed.
 */
export async function searchRecording(
  events: AsyncIterable<AsciicastEvent>,
  text: string,
): Promise<{ readonly matches: readonly RecordingMatch[]; readonly dropped: number }> {
  const matches: RecordingMatch[] = []
  const sought = text.toLowerCase()
  let dropped = 0
  let timeMs = 0
  /** Since when the text is in the line that is being written; null when it is not. */
  let sinceMs: number | null = null
  const renderer = new PlainTextRenderer((line) => {
    if (line.toLowerCase().includes(sought)) {
      if (matches.length < MAX_MATCHES) matches.push({ timeMs: sinceMs ?? timeMs, line: excerpt(line) })
      else dropped += 1
    }
    sinceMs = null
  })
  for await (const event of events) {
    if (event.code !== 'o') continue
    timeMs = event.timeMs
    renderer.write(event.data)
    sinceMs = renderer.line.toLowerCase().includes(sought) ? (sinceMs ?? timeMs) : null
  }
  renderer.end()
  return { matches, dropped }

  /** The part of a long line that has the text. */
  function excerpt(line: string): string {
    if (line.length <= MAX_LINE_LENGTH) return line
    const start = Math.max(0, line.toLowerCase().indexOf(sought) - MAX_LINE_LENGTH / 2)
    return `${start > 0 ? '…' : ''}${line.slice(start, start + MAX_LINE_LENGTH)}…`
  }
}
