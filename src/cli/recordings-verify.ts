import { verifyRecording, type RecordingVerification } from '../audit/recording/verify-recording.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { completeId, recordingSource, type RecordingSourceFlags } from './recording-source.ts'
import { printJSON, printNotice, printTable } from './terminal.ts'

export type RecordingsVerifyFlags = RecordingSourceFlags & OutputFlags

/** Holds recordings against their manifests, and prints what was found. */
export async function runRecordingsVerify(
  beginnings: readonly string[],
  flags: RecordingsVerifyFlags,
): Promise<ExitCode> {
  const source = await recordingSource(flags)
  const ids: string[] = []
  for (const beginning of beginnings) ids.push(await completeId(source, beginning))
  if (beginnings.length === 0) ids.push(...(await source.ids()))
  const found: { id: string; verification: RecordingVerification }[] = []
  for (const id of ids) found.push({ id, verification: await verifyRecording(source, id, null) })

  if (flags.output === 'json') printJSON(found.map(({ id, verification }) => ({ id, ...verification })))
  else if (found.length === 0) printNotice('There are no recordings.')
  else
    printTable(
      ['ID', 'VERDICT', 'DETAIL'],
      found.map(({ id, verification }) => [id, verification.verdict, detailOf(verification)]),
    )
  return found.every(({ verification }) => isAsWritten(verification)) ? EXIT.ok : EXIT.altered
}

/** What was never recorded is no fault of what is there. */
function isAsWritten({ verdict }: RecordingVerification): boolean {
  return verdict === 'intact' || verdict === 'incomplete'
}

function detailOf(verification: RecordingVerification): string {
  switch (verification.verdict) {
    case 'missing':
      return 'there is no such recording'
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
