import { parseSize, type AsciicastEvent } from './asciicast-reader.ts'
import { TerminalSanitizer } from './terminal-sanitizer.ts'

/** What a recording names a stream by, before output that is not of stdout. */
const STREAM_NAME = /^[a-z]{1,16}$/

/**
 * The events that show something: output, sanitised, with the stream it is of, and sizes that are some. Input and
 * markers are left out.
 *
 * @param bareLines whether line feeds are to return the carriage as well: without a terminal of its own, a session's
 * output relies on that of whoever looks on.
 */
export async function* sanitizedEvents(
  events: AsyncIterable<AsciicastEvent>,
  bareLines: boolean,
  sanitizer = new TerminalSanitizer(),
): AsyncGenerator<AsciicastEvent> {
  let stream: AsciicastEvent | null = null
  let afterReturn = false
  for await (const event of events) {
    if (event.code === 'r' && parseSize(event.data) !== null) yield event
    else if (event.code === 'e' && STREAM_NAME.test(event.data)) stream = event
    if (event.code !== 'o') continue
    const text = sanitizer.sanitize(event.data)
    if (text !== '') {
      if (stream !== null) yield stream
      yield { ...event, data: bareLines ? withReturns(text, afterReturn) : text }
      afterReturn = text.endsWith('\r')
    }
    stream = null
  }
}

function withReturns(text: string, afterReturn: boolean): string {
  const lines = text.replaceAll(/(?<!\r)\n/g, '\r\n')
  return afterReturn && text.startsWith('\n') ? lines.slice(1) : lines
}
