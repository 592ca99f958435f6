import { X509Certificate } from 'node:crypto'
import { readTextFile } from '../document/text-file.ts'
import { checkAuthorities } from '../upstream/certificates.ts'
import type { Text } from '../upstream/endpoint.ts'
import type { CertificateInForce } from './server-certificates.ts'

/** The authorities may have at most so many bytes. */
const MAX_PEM_BYTES = 1024 * 1024
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * PEM of those whose certificates clients may show.
 *
 * @throws Error of one phrase when it cannot be read, or holds no authority that is in force.
 */
export async function readClientAuthorities(text: Text): Promise<string> {
  if ('value' in text) return text.value
  const pem = await readTextFile(text.file, MAX_PEM_BYTES).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`cannot read ${text.file}: ${why}`, { cause: error })
  })
  checkAuthorities(pem, `the client authority ${text.file}`, Date.now())
  return pem
}

/** What is said of each; they are for no host. */
export function authorityInForce(pem: string): readonly CertificateInForce[] {
  const certificates = (pem.match(CERTIFICATE) ?? []).map((one) => new X509Certificate(one))
  return certificates.map(({ validToDate }) => ({ hosts: [], notAfterMs: validToDate.getTime() }))
}
