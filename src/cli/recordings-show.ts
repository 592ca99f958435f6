import { unsealManifest } from '../audit/recording-store/decrypt-recording.ts'
import {
  CONNECTION_COLUMNS,
  connectionCells,
  FILE_COLUMNS,
  fileCells,
  recordingFacts,
} from '../audit/playback/recording-facts.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { findManifest, keyOf, recordingSource, toObject, type RecordingSourceFlags } from './recording-source.ts'
import { printJSON, printLine, printTable } from './terminal.ts'

export type RecordingsShowFlags = RecordingSourceFlags & OutputFlags

/** Prints the manifest of a recording: the session's facts, the files and connections that it moved. */
export async function runRecordingsShow(id: string, flags: RecordingsShowFlags): Promise<ExitCode> {
  const source = await recordingSource(flags)
  const found = await findManifest(source, id)
  const key = await keyOf(flags)
  const manifest = key === null ? found : await unsealManifest(found, key)
  if (flags.output === 'json') {
    printJSON(toObject(manifest))
    return EXIT.ok
  }
  const facts = recordingFacts(manifest)
  const width = Math.max(...facts.map(({ label }) => label.length)) + 2
  for (const { label, value } of facts) printLine(`${`${label}:`.padEnd(width)}${value}`)
  if (manifest.sealed !== undefined)
    printLine(`${'Sealed:'.padEnd(width)}command, files and connections; --key opens them`)
  printEntries('files', FILE_COLUMNS, manifest.files.map(fileCells), manifest.droppedFiles)
  printEntries(
    'connections',
    CONNECTION_COLUMNS,
    manifest.connections.map(connectionCells),
    manifest.droppedConnections,
  )
  return EXIT.ok
}

function printEntries(
  what: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  dropped: number,
): void {
  if (rows.length > 0) {
    printLine('')
    printTable(columns, rows)
  }
  if (dropped > 0) printLine(`${dropped} more ${what} are not listed.`)
}
