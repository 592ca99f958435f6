import type { DocumentPath } from '../document/document-path.ts'
import { checkAuthorities } from '../upstream/certificates.ts'
import { isPem } from './certificate-authority.ts'
import type { NamedFiles } from './named-files.ts'

/** PEM of an authority; null, and a mistake, when it cannot be used, and null when none is named. */
export async function checkAuthority(
  written: string | undefined,
  at: DocumentPath,
  files: NamedFiles,
  nowMs: number,
): Promise<string | null> {
  const pem = await readAuthority(written, at, files)
  if (pem === null) return null
  const holds = files.attempt(at, () => {
    checkAuthorities(pem, 'the certificate authority', nowMs)
  })
  return holds ? pem : null
}

/** What is written in place, or the file that is named; null, and a mistake, when that cannot be read. */
export async function readAuthority(
  written: string | undefined,
  at: DocumentPath,
  files: NamedFiles,
): Promise<string | null> {
  return written !== undefined && isPem(written) ? written : await files.read(at, written)
}
