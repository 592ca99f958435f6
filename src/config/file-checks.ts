import { stat } from 'node:fs/promises'
import { loadPublicKey } from '../audit/recording-store/encryption.ts'
import type { DocumentPath } from '../document/document-path.ts'
import type { Sound } from '../document/document.ts'
import { MIN_CLIENT_SECRET_CHARACTERS } from '../identity/issuer-options.ts'
import { checkAuthority } from './authority-checks.ts'
import type { ConnectorInput } from './connector-schema.ts'
import { checkListenerCertificates } from './listener-checks.ts'
import type { NamedFiles } from './named-files.ts'
import { listPolicyFiles, policyFilePattern } from './policy-files.ts'
import type { PolicyFilePattern } from './policy-files.ts'
import { checkSecret } from './secret-text.ts'
import type { Surroundings } from './surroundings.ts'
import { checkUpstream } from './upstream-checks.ts'

type SoundConnector = NonNullable<Sound<ConnectorInput>>

/**
 * Reads the files and environment variables that a connector document names, as far as it is sound. Returns the
 * patterns of policies that match something.
 */
export async function checkFiles(
  document: SoundConnector,
  files: NamedFiles,
  surroundings: Surroundings,
): Promise<readonly PolicyFilePattern[]> {
  const { nowMs } = surroundings
  await checkListenerCertificates(document, files, nowMs)
  for (const [index, entry] of (document.identity?.issuers ?? []).entries()) {
    const at = ['identity', 'issuers', index, 'issuer', 'certificateAuthority']
    await checkAuthority(entry?.issuer?.certificateAuthority, at, files, nowMs)
    const clientSecretAt = ['identity', 'issuers', index, 'client', 'secret']
    await checkSecret(
      entry?.client?.secret,
      clientSecretAt,
      files,
      surroundings.environment,
      MIN_CLIENT_SECRET_CHARACTERS,
    )
    const graphAt = ['identity', 'issuers', index, 'groupsFrom', 'graph']
    const { certificateAuthority, credentials } = entry?.groupsFrom?.graph ?? {}
    await checkAuthority(certificateAuthority, [...graphAt, 'certificateAuthority'], files, nowMs)
    const secretAt = [...graphAt, 'credentials', 'clientSecret']
    await checkSecret(credentials?.clientSecret, secretAt, files, surroundings.environment)
  }
  const { certificateAuthority: clientAuthority } = document.identity?.clientCertificates ?? {}
  await checkAuthority(clientAuthority, ['identity', 'clientCertificates', 'certificateAuthority'], files, nowMs)
  for (const [index, socket] of (document.sockets ?? []).entries()) {
    await checkUpstream(socket?.upstream, ['sockets', index, 'upstream'], files, surroundings)
  }
  const directory = document.audit?.trail?.directory
  if (directory !== undefined) await checkTrailDirectory(directory, files)
  const { store, encryption } = document.recordings ?? {}
  await checkRecordingKey(encryption?.publicKey, files)
  await see(directory, ['audit', 'trail', 'directory'], files)
  await see(store?.directory, ['recordings', 'store', 'directory'], files)
  await see(store?.s3?.spool, ['recordings', 'store', 's3', 'spool'], files)
  await see(document.stateDirectory, ['stateDirectory'], files)

  const patterns: PolicyFilePattern[] = []
  for (const [index, written] of (document.policies ?? []).entries()) {
    if (written === undefined) continue
    const pattern = policyFilePattern(files.anchor(written))
    const found = await listPolicyFiles([pattern])
    if (found.length > 0) patterns.push(pattern)
    else files.refuse(['policies', index], `"${written}" matches no file`, 'at least one policy file')
    for (const path of found) await files.see(['policies', index], path)
  }
  return patterns
}

async function see(written: string | undefined, at: DocumentPath, files: NamedFiles): Promise<void> {
  if (written !== undefined) await files.see(at, files.resolve(written))
}

async function checkRecordingKey(written: string | undefined, files: NamedFiles): Promise<void> {
  const at = ['recordings', 'encryption', 'publicKey']
  if (written === undefined || (await files.read(at, written)) === null) return
  try {
    await loadPublicKey(files.resolve(written))
  } catch (error) {
    files.refuse(at, error instanceof Error ? error.message : String(error), 'a public key in PEM or JWK')
  }
}

async function checkTrailDirectory(written: string, files: NamedFiles): Promise<void> {
  const found = await stat(files.resolve(written)).catch(() => null)
  if (found !== null && !found.isDirectory()) {
    files.refuse(['audit', 'trail', 'directory'], 'is a file', 'a directory, or a name that is free')
  }
}
