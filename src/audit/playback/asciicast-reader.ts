import { z } from 'zod'

/** The first line of an asciicast. */
export interface AsciicastHeader {
  readonly version: 2
  readonly width: number
  readonly height: number
}

/** One line behind the header. */
export interface AsciicastEvent {
  /** Since the session's start; never less than that of the event before. */
  readonly timeMs: number
  /** `o` output, `r` a new size, `i` input, `m` a marker; others are to be passed over. */
  readonly code: string
  readonly data: string
}

/** An asciicast that is being read. */
export interface Asciicast {
  readonly header: AsciicastHeader
  /** Can be gone through once. @throws AsciicastError */
  readonly events: AsyncIterable<AsciicastEvent>
}

/** A stored asciicast that is none. The message is one phrase for people. */
export class AsciicastError extends Error {
  override readonly name = 'AsciicastError'
}

/** Longer lines are none of a recording of ours. UTF-16 units. */
const MAX_LINE_LENGTH = 16 * 1024 * 1024

/** Terminals are not larger; what says so is one all the same. */
const MAX_SIZE = 1000

const size = z
  .int()
  .nonnegative()
  .transform((cells) => Math.min(cells, MAX_SIZE))
const headerLine = z.object({ version: z.literal(2), width: size, height: size })
const eventLine = z.tuple([z.number().nonnegative(), z.string(), z.string()])

/**
 * Reads an asciicast v2 and holds one line of it in memory. A last line that was cut off, as a crash leaves it, is
 * passed over.
 *
 * @param source UTF-8. Errors of it are thrown on.
 * @throws AsciicastError
 * @see https://docs.asciinema.org/manual/asciicast/v2/
 */
export async function readAsciicast(source: AsyncIterable<Uint8Array>): Promise<Asciicast> {
  const lines = linesOf(source)
  const first = await lines.next()
  if (first.done === true) throw new AsciicastError('it is empty')
  const header = headerLine.safeParse(parseLine(first.value))
  if (!header.success) throw new AsciicastError('it does not begin as an asciicast v2')
  return { header: header.data, events: eventsOf(lines) }
}

/** The size that an `r` event tells, or null. */
export function parseSize(data: string): { readonly width: number; readonly height: number } | null {
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(data)
  if (match === null) return null
  return { width: Math.min(Number(match[1]), MAX_SIZE), height: Math.min(Number(match[2]), MAX_SIZE) }
}

async function* eventsOf(lines: AsyncIterable<Line>): AsyncGenerator<AsciicastEvent> {
  let timeMs = 0
  let number = 1
  for await (const line of lines) {
    number += 1
    if (line.text === '') continue
    const event = eventLine.safeParse(parseLine(line))
    if (!event.success) {
      if (!line.whole) return
      throw new AsciicastError(`line ${number} is no event`)
    }
    const [seconds, code, data] = event.data
    timeMs = Math.max(timeMs, Math.round(seconds * 1000))
    yield { timeMs, code, data }
  }
}

interface Line {
  readonly text: string
  /** Whether it ended with a line break. */
  readonly whole: boolean
}

async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let rest: string[] = []
  let restLength = 0
  for await (const chunk of source) {
    const text = decoder.decode(chunk, { stream: true })
    let begin = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', begin)) {
      yield { text: rest.join('') + text.slice(begin, end), whole: true }
      rest = []
      restLength = 0
      begin = end + 1
    }
    rest.push(text.slice(begin))
    restLength += text.length - begin
    if (restLength > MAX_LINE_LENGTH) throw new AsciicastError('it has a line that is too long')
  }
  const last = rest.join('')
  if (last !== '') yield { text: last, whole: false }
}

function parseLine({ text }: Line): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
