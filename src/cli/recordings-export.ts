import type { AsciicastEvent, AsciicastHeader } from '../audit/playback/asciicast-reader.ts'
import { PlainTextRenderer } from '../audit/playback/plain-text.ts'
import { recordingPage } from '../audit/playback/recording-page.ts'
import type { RecordingManifest } from '../audit/recording/recording-manifest.ts'
import { sanitizedEvents } from '../audit/playback/sanitized-events.ts'
import { ClientError } from '../client/client-error.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { writeToFile, writeToStdout } from './output-stream.ts'
import { readPlayerAssets } from './player-assets.ts'
import { openRecording, type OpenedRecording, type RecordingSourceFlags } from './recording-source.ts'
import { escapeUnprintable, printNotice } from './terminal.ts'

export interface RecordingsExportFlags extends RecordingSourceFlags {
  readonly format: 'asciicast' | 'text' | 'html'
  readonly file?: string
  readonly raw?: true
}

/** Writes a recording as an asciicast, as plain text, or as a page. */
export async function runRecordingsExport(id: string, flags: RecordingsExportFlags): Promise<ExitCode> {
  if (flags.raw === true && flags.format !== 'asciicast')
    throw new ClientError('BadArgument', '--raw goes with --format asciicast only')
  if (flags.raw === true && flags.file === undefined && process.stdout.isTTY)
    throw new ClientError('BadArgument', 'what is raw goes to no terminal; name a file with --file FILE')
  const recording = await openRecording(flags, id)
  const pieces = await exported(recording, flags)
  if (flags.file === undefined) {
    await writeToStdout(pieces)
  } else {
    await writeToFile(flags.file, pieces)
    printNotice(`Recording ${recording.manifest.session.id} is in ${flags.file}.`)
  }
  return EXIT.ok
}

async function exported(
  recording: OpenedRecording,
  { format, raw }: RecordingsExportFlags,
): Promise<AsyncIterable<string | Uint8Array>> {
  const { manifest } = recording
  if (raw === true) return recording.bytes()
  const { header, events } = await recording.cast()
  if (format === 'text') return textOf(events)
  const shown = sanitizedEvents(events, !manifest.session.tty)
  if (format === 'asciicast') return asciicastOf(header, manifest, shown)
  return recordingPage(manifest, header, shown, await readPlayerAssets())
}

/** The lines of a session, without escape sequences and controls, each with a line break. */
export async function* textOf(events: AsyncIterable<AsciicastEvent>): AsyncGenerator<string> {
  let lines: string[] = []
  const renderer = new PlainTextRenderer((line) => lines.push(line))
  for await (const { code, data } of events) {
    if (code !== 'o') continue
    renderer.write(data)
    yield* flushed()
  }
  renderer.end()
  yield* flushed()

  function* flushed(): Generator<string> {
    if (lines.length > 0) yield `${lines.join('\n')}\n`
    lines = []
  }
}

async function* asciicastOf(
  header: AsciicastHeader,
  { session }: RecordingManifest,
  events: AsyncIterable<AsciicastEvent>,
): AsyncGenerator<string> {
  yield `${JSON.stringify({ ...header, timestamp: Math.floor(session.startedAtMs / 1000) })}\n`
  for await (const { timeMs, code, data } of events)
    yield `${escapeUnprintable(JSON.stringify([timeMs / 1000, code, data]))}\n`
}
