import type { AsciicastEvent } from '../audit/playback/asciicast-reader.ts'
import { renderSpan } from '../audit/playback/recording-facts.ts'
import { sanitizedEvents } from '../audit/playback/sanitized-events.ts'
import { searchRecording } from '../audit/playback/search-recording.ts'
import { TerminalSanitizer } from '../audit/playback/terminal-sanitizer.ts'
import { ClientError } from '../client/client-error.ts'
import { parseDuration, renderDuration, type Milliseconds } from '../document/duration.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { writeToStdout } from './output-stream.ts'
import { play, type PlaybackOptions, type PlaybackScreen } from './playback.ts'
import { openRecording, type OpenedRecording, type RecordingSourceFlags } from './recording-source.ts'
import { textOf } from './recordings-export.ts'
import { openKeys } from './terminal-keys.ts'
import { printJSON, printNotice, printTable } from './terminal.ts'

export interface RecordingsPlayFlags extends RecordingSourceFlags, OutputFlags {
  readonly speed: number
  readonly idleLimit?: string
  readonly from: string
  readonly search?: string
  readonly raw?: true
}

/** What raw output may have switched on: a soft reset, mouse, focus and paste reports off, ASCII, the main screen. */
const RAW_RESTORATION = '\x1b[!p\x1b[?1000;1002;1003;1004;1006;2004l\x1b(B\x0f\x1b[m'
const CLEARED = '\x1b[m\x1b[r\x1b[H\x1b[2J'

/** Plays a recording on a terminal; without one prints its text. With `--search` prints where a text appears. */
export async function runRecordingsPlay(id: string, flags: RecordingsPlayFlags): Promise<ExitCode> {
  const options = toOptions(flags)
  const { search } = flags
  if (search === '') throw new ClientError('BadArgument', '--search needs a text')
  if (search === undefined && flags.output === 'json')
    throw new ClientError('BadArgument', '-o json goes with --search; export writes a recording in other forms')
  const recording = await openRecording(flags, id)
  const { session } = recording.manifest
  if (session.kind === 'portforward')
    printNotice(`A port-forward shows nothing; postern recordings show ${session.id} lists its connections.`)
  if (search !== undefined) return printMatches(recording, search, flags)
  if (process.stdout.isTTY) return playOnTerminal(recording, flags.raw === true, options)
  const { events } = await recording.cast()
  const since = eventsSince(events, options.fromMs)
  await writeToStdout(flags.raw === true ? outputOf(since) : textOf(since))
  return EXIT.ok
}

async function playOnTerminal(recording: OpenedRecording, raw: boolean, options: PlaybackOptions): Promise<ExitCode> {
  const { session } = recording.manifest
  const { stdout, stdin } = process
  let sanitizer = new TerminalSanitizer()
  let told = false
  const screen: PlaybackScreen = {
    show: ({ code, data }) => (code === 'o' ? write(data) : Promise.resolve()),
    clear: () => write(`${sanitizer.restoration()}${CLEARED}`),
  }
  const open = async (): Promise<AsyncIterable<AsciicastEvent>> => {
    const { header, events } = await recording.cast()
    if (!told && (header.width > stdout.columns || header.height > stdout.rows))
      printNotice(`Recorded on ${header.width}x${header.height}; this terminal has ${stdout.columns}x${stdout.rows}.`)
    told = true
    sanitizer = new TerminalSanitizer()
    return raw ? watched(events, sanitizer) : sanitizedEvents(events, !session.tty, sanitizer)
  }
  const keys = openKeys(stdin.isTTY ? stdin : null)
  try {
    const { atMs, quit } = await play(open, screen, keys, options)
    await write(restoration())
    if (quit) printNotice(`Stopped at ${renderSpan(atMs)}; --from goes on there.`)
    if (!raw && sanitizer.hiddenLength > 0)
      printNotice(`${sanitizer.hiddenLength} characters of control strings were left out; --raw lets them pass.`)
  } catch (error) {
    await write(restoration())
    throw error
  } finally {
    keys.close()
  }
  return EXIT.ok

  function restoration(): string {
    return `${sanitizer.restoration()}${raw ? RAW_RESTORATION : ''}\r\n`
  }
}

/** Resolves when the terminal takes more. */
function write(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(text, () => {
      resolve()
    })
  })
}

async function* watched(
  events: AsyncIterable<AsciicastEvent>,
  sanitizer: TerminalSanitizer,
): AsyncGenerator<AsciicastEvent> {
  for await (const event of events) {
    if (event.code === 'o') sanitizer.sanitize(event.data)
    yield event
  }
}

async function* eventsSince(events: AsyncIterable<AsciicastEvent>, fromMs: number): AsyncGenerator<AsciicastEvent> {
  for await (const event of events) if (event.timeMs >= fromMs) yield event
}

async function* outputOf(events: AsyncIterable<AsciicastEvent>): AsyncGenerator<string> {
  for await (const { code, data } of events) if (code === 'o') yield data
}

async function printMatches(recording: OpenedRecording, search: string, flags: RecordingsPlayFlags): Promise<ExitCode> {
  const { events } = await recording.cast()
  const { matches, dropped } = await searchRecording(events, search)
  if (flags.output === 'json') printJSON({ matches, dropped })
  else if (matches.length === 0) printNotice('It does not appear.')
  else {
    printTable(
      ['TIME', 'LINE'],
      matches.map(({ timeMs, line }) => [renderDuration(timeMs as Milliseconds), line]),
    )
    if (dropped > 0) printNotice(`${dropped} more lines are not listed.`)
  }
  return matches.length === 0 ? EXIT.failure : EXIT.ok
}

function toOptions({ speed, idleLimit, from }: RecordingsPlayFlags): PlaybackOptions {
  return {
    speed,
    idleLimitMs: idleLimit === undefined ? Infinity : span('--idle-limit', idleLimit),
    fromMs: span('--from', from),
  }
}

function span(flag: string, text: string): number {
  const parsed = parseDuration(text)
  if (parsed === null) throw new ClientError('BadArgument', `${flag} is a duration such as 2s or 1m30s`)
  return parsed
}
