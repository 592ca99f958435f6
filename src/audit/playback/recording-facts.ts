import { renderDuration, type Milliseconds } from '../../document/duration.ts'
import type {
  CopiedFile,
  ElidedBytes,
  ForwardedConnection,
  RecordingManifest,
} from '../recording/recording-manifest.ts'

/** A fact of a recording, for people. The value may hold any character. */
export interface RecordingFact {
  readonly label: string
  readonly value: string
}

/** What a manifest says of the session, in the order in which people ask: who, where, what, when, why, how it ended. */
export function recordingFacts(manifest: RecordingManifest): readonly RecordingFact[] {
  const { session, outcome, streams, input } = manifest
  const bytes = Object.entries(streams).map(([stream, byteLength]) => `${stream} ${renderByteLength(byteLength)}`)
  const facts: Record<string, string> = {
    Recording: session.id,
    User:
      session.impersonatedUsername === '' ? session.username : `${session.username} as ${session.impersonatedUsername}`,
    Groups: session.groups.join(', '),
    From: `${session.sourceIP} (${session.userAgent})`,
    Socket: session.socket,
    Pod: placeOf(manifest),
    Kind: `${session.kind}${session.tty ? ' with a terminal' : ''}${session.stdin ? ', stdin open' : ''}`,
    Command: renderCommand(session.command),
    Started: renderTime(session.startedAtMs),
    Duration: durationOf(manifest),
    State: stateOf(manifest),
    'Exit code': outcome === null || outcome.exitCode === null ? '' : String(outcome.exitCode),
    Outcome: outcome?.message ?? '',
    'Ended by': outcome?.endedBy ?? '',
    Missing: manifest.incomplete,
    Rule: session.rule,
    Revision: session.policyRevision,
    'Audit ID': session.auditId,
    Protocol: [session.protocol, session.subprotocol].filter((part) => part !== '').join(' '),
    Streams: bytes.join(', '),
    'Not shown': manifest.elided.map(renderElided).join('; '),
    Input: input.recorded ? `recorded, ${input.maskedCharacters} characters masked` : '',
    Encryption: manifest.encryption === 'none' ? '' : manifest.encryption,
  }
  return Object.entries(facts).flatMap(([label, value]) => (value === '' ? [] : [{ label, value }]))
}

export const FILE_COLUMNS = ['DIRECTION', 'TYPE', 'SIZE', 'SHA-256', 'PATH'] as const

/** Cells of a copied file, as {@link FILE_COLUMNS}. */
export function fileCells({ direction, type, byteLength, hash, path }: CopiedFile): readonly string[] {
  return [direction, type, renderByteLength(byteLength), hash.replace(/^sha256:/, ''), path]
}

export const CONNECTION_COLUMNS = ['PORT', 'OPENED', 'LASTED', 'SENT', 'RECEIVED', 'ERROR'] as const

/** Cells of a forwarded connection, as {@link CONNECTION_COLUMNS}. */
export function connectionCells(connection: ForwardedConnection): readonly string[] {
  const { port, openedAtMs, closedAtMs, sentBytes, receivedBytes, error } = connection
  return [
    String(port),
    `+${renderSpan(openedAtMs)}`,
    closedAtMs === null ? '' : renderSpan(closedAtMs - openedAtMs),
    renderByteLength(sentBytes),
    renderByteLength(receivedBytes),
    error,
  ]
}

/** How long the session lasted; empty while that is not known. */
export function durationOf({ session, outcome }: RecordingManifest): string {
  return outcome === null ? '' : renderSpan(outcome.endedAtMs - session.startedAtMs)
}

/** `NAMESPACE/POD`, and the container where one was named. */
function placeOf({ session }: RecordingManifest): string {
  return `${session.namespace}/${session.pod}${session.container === '' ? '' : `, container ${session.container}`}`
}

/** Whether the recording is whole. */
export function stateOf({ state, incomplete }: RecordingManifest): string {
  return state === 'complete' && incomplete !== '' ? 'incomplete' : state
}

/** An argv as a shell would take it. */
export function renderCommand(command: readonly string[]): string {
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
}

/** `2026-07-01T08:00:00Z`; empty for what is no time. */
export function renderTime(atMs: number): string {
  const time = new Date(atMs)
  return Number.isNaN(time.getTime()) ? '' : time.toISOString().replace(/\.\d+/, '')
}

/** Milliseconds as people read them: `12ms`, `3s`, `1h5m2s`. */
export function renderSpan(spanMs: number): string {
  const span = Math.max(0, Math.round(spanMs))
  return renderDuration((span < 1000 ? span : Math.round(span / 1000) * 1000) as Milliseconds)
}

function renderElided({ stream, kind, firstByte, byteLength, hash, hashedFromByte, note }: ElidedBytes): string {
  const hashed = hash === '' ? '' : `, ${hash}${hashedFromByte === 0 ? '' : ` from byte ${hashedFromByte}`}`
  const what = `${renderByteLength(byteLength)} of ${kind} in ${stream} from byte ${firstByte}`
  return `${what}${hashed}${note === '' ? '' : ` (${note})`}`
}

function renderByteLength(byteLength: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(byteLength, 1)) / 10), 4)
  if (power === 0) return `${byteLength} B`
  return `${(byteLength / 2 ** (10 * power)).toFixed(1)} ${'KMGT'.charAt(power - 1)}iB`
}
