import { unsealManifest } from '../audit/recording-store/decrypt-recording.ts'
import { durationOf, renderCommand, renderTime, stateOf } from '../audit/playback/recording-facts.ts'
import { inBatches } from '../audit/recording-store/recording-directory.ts'
import type { RecordingManifest } from '../audit/recording/recording-manifest.ts'
import { ClientError } from '../client/client-error.ts'
import { parseDuration } from '../document/duration.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { keyOf, recordingSource, toObject, type RecordingSourceFlags } from './recording-source.ts'
import { shortIdLength } from './short-id.ts'
import { printJSON, printNotice, printTable } from './terminal.ts'

export interface RecordingsListFlags extends RecordingSourceFlags, OutputFlags {
  readonly user?: string
  readonly socket?: string
  readonly namespace?: string
  readonly pod?: string
  readonly since?: string
}

const MAX_COMMAND = 60
const UNSEALED_AT_A_TIME = 16

/** Prints recordings, newest first. */
export async function runRecordingsList(flags: RecordingsListFlags): Promise<ExitCode> {
  const sinceMs = toSince(flags.since, Date.now())
  const source = await recordingSource(flags)
  const key = await keyOf(flags)
  const listed = (await source.list(sinceMs)).filter((manifest) => matches(manifest, flags))
  // What is encrypted to another key stays so.
  const open = (manifest: RecordingManifest): Promise<RecordingManifest> =>
    key === null ? Promise.resolve(manifest) : unsealManifest(manifest, key).catch(() => manifest)
  const manifests = await inBatches(listed, UNSEALED_AT_A_TIME, open)
  if (flags.output === 'json')
    printJSON({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'RecordingList',
      metadata: {},
      items: manifests.map(toObject),
    })
  else if (manifests.length === 0) printNotice('There are no such recordings.')
  else {
    const idLength = shortIdLength(manifests.map(({ session }) => session.id))
    printTable(
      ['ID', 'STARTED', 'DURATION', 'USER', 'SOCKET', 'POD', 'KIND', 'STATE', 'EXIT', 'COMMAND'],
      manifests.map((manifest) => toRow(manifest, idLength)),
    )
  }
  return EXIT.ok
}

function toRow(manifest: RecordingManifest, idLength: number): readonly string[] {
  const { session, outcome } = manifest
  const command = manifest.sealed === undefined ? renderCommand(session.command) : '(encrypted)'
  return [
    session.id.slice(0, idLength),
    renderTime(session.startedAtMs),
    durationOf(manifest),
    session.username,
    session.socket,
    `${session.namespace}/${session.pod}`,
    session.kind,
    stateOf(manifest),
    outcome?.exitCode?.toString() ?? '',
    command.length > MAX_COMMAND ? `${command.slice(0, MAX_COMMAND)}…` : command,
  ]
}

function matches({ session }: RecordingManifest, { user, socket, namespace, pod }: RecordingsListFlags): boolean {
  return (
    (user === undefined || session.username === user || session.impersonatedUsername === user) &&
    (socket === undefined || session.socket === socket) &&
    (namespace === undefined || session.namespace === namespace) &&
    (pod === undefined || session.pod === pod)
  )
}

function toSince(since: string | undefined, nowMs: number): number {
  if (since === undefined) return 0
  const ago = parseDuration(since)
  const at = ago === null ? Date.parse(since) : nowMs - ago
  if (Number.isNaN(at)) {
    throw new ClientError('BadArgument', '--since is no time; write it as 24h or as 2026-07-01T08:00:00Z')
  }
  return at
}
