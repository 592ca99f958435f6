import { readRecordedSessions } from '../audit/recorded-sessions.ts'
import { verifyRecording, type RecordingVerification } from '../audit/recording-store/verify-recording.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { completeId, recordingSource, type RecordingSource, type RecordingSourceFlags } from './recording-source.ts'
import { printJSON, printNotice, printTable } from './terminal.ts'

export interface RecordingsVerifyFlags extends RecordingSourceFlags, OutputFlags {
  readonly auditTrail?: string
}

/** Holds recordings against their manifests, and these against the trail where one is named; prints what was found. */
export async function runRecordingsVerify(
  beginnings: readonly string[],
  flags: RecordingsVerifyFlags,
): Promise<ExitCode> {
  const source = await recordingSource(flags)
  const told = flags.auditTrail === undefined ? null : await readRecordedSessions(flags.auditTrail)
  const ids: string[] = []
  for (const beginning of beginnings) ids.push(await completeId(source, beginning))
  if (beginnings.length === 0) ids.push(...new Set([...(await source.ids()), ...(told?.keys() ?? [])]))
  const found: { id: string; verification: RecordingVerification }[] = []
  for (const id of ids) found.push({ id, verification: await verify(source, id, told) })

  if (flags.output === 'json') printJSON(found.map(({ id, verification }) => ({ id, ...verification })))
  else if (found.length === 0) printNotice('There are no recordings.')
  else
    printTable(
      ['ID', 'VERDICT', 'DETAIL'],
      found.map(({ id, verification }) => [id, verification.verdict, detailOf(verification)]),
    )
  return found.every(({ verification }) => isAsWritten(verification)) ? EXIT.ok : EXIT.altered
}

/** A recording that is whole and of which the trail does not tell was never made by the connector. */
async function verify(
  source: RecordingSource,
  id: string,
  told: ReadonlyMap<string, string> | null,
): Promise<RecordingVerification> {
  const verification = await verifyRecording(source, id, told?.get(id) ?? null)
  if (told === null || told.has(id) || verification.verdict !== 'intact') return verification
  return { verdict: 'manifest-altered', reason: 'the audit trail does not tell of it' }
}

/** What was never recorded is no fault of what is there. */
function isAsWritten({ verdict }: RecordingVerification): boolean {
  return verdict === 'intact' || verdict === 'incomplete'
}

function detailOf(verification: RecordingVerification): string {
  switch (verification.verdict) {
    case 'missing':
      return 'there is no such recording (any more)'
    case 'intact':
      return `${verification.byteLength} bytes`
    case 'incomplete':
    case 'manifest-altered':
      return verification.reason
    case 'truncated':
      return `bytes ${verification.from} to ${verification.to} are missing (chunk ${verification.chunk})`
    case 'altered':
      return `bytes ${verification.from} to ${verification.to} are not what was recorded (chunk ${verification.chunk})`
  }
}
