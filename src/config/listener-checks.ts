import type { DocumentPath } from '../document/document-path.ts'
import type { Sound } from '../document/document.ts'
import { checkClientCertificate, checkIssued } from '../upstream/certificates.ts'
import { checkAuthority } from './authority-checks.ts'
import { hostOfURL, whyUncovered } from './certificate-hosts.ts'
import type { ConnectorInput } from './connector-schema.ts'
import type { NamedFiles } from './named-files.ts'

type SoundConnector = NonNullable<Sound<ConnectorInput>>

interface SoundListenerCertificate {
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  readonly certificateAuthority?: string | undefined
}

/** Reads the certificates of both TLS listeners: each in force, with its key, and one for each host that clients call. */
export async function checkListenerCertificates(
  document: SoundConnector,
  files: NamedFiles,
  nowMs: number,
): Promise<void> {
  for (const name of ['kubernetes', 'portal'] as const) {
    const { tls } = document.listen?.[name] ?? {}
    if (tls === undefined) continue
    const listed = isList(tls)
    const usable: string[] = []
    const pairs = listed ? tls : [tls]
    for (const [index, pair] of pairs.entries()) {
      const at = listed ? ['listen', name, 'tls', index] : ['listen', name, 'tls']
      const certificate = await checkListenerCertificate(pair, at, files, nowMs)
      if (certificate !== null) usable.push(certificate)
    }
    if (usable.length === 0 || usable.length < pairs.length) continue
    for (const { at, host } of hostsOfListener(name, document)) {
      const problem = whyUncovered(usable, host)
      if (problem !== '') files.refuse(at, problem, `one for it in listen.${name}.tls`)
    }
  }
}

/** As `Array.isArray`, of lists that are read-only too. */
function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value)
}

/** What clients call a listener, and where it is written. */
function hostsOfListener(
  name: 'kubernetes' | 'portal',
  { listen, sockets = [] }: SoundConnector,
): readonly { readonly at: DocumentPath; readonly host: string }[] {
  const publicURL = listen?.[name]?.publicURL
  const own = publicURL === undefined ? [] : [{ at: ['listen', name, 'publicURL'], host: hostOfURL(publicURL) }]
  if (name === 'portal') return own
  const ofSockets = sockets.flatMap((socket, index) =>
    (socket?.hosts ?? []).flatMap((host, entry) =>
      host === undefined ? [] : [{ at: ['sockets', index, 'hosts', entry], host }],
    ),
  )
  return [...own, ...ofSockets]
}

/** Its PEM; null, and a mistake, when it cannot be used. */
async function checkListenerCertificate(
  tls: SoundListenerCertificate | undefined,
  at: DocumentPath,
  files: NamedFiles,
  nowMs: number,
): Promise<string | null> {
  const certificate = await files.read([...at, 'certificate'], tls?.certificate)
  const key = await files.read([...at, 'key'], tls?.key)
  const pair = certificate === null || key === null ? null : { certificate, key }
  const holds =
    pair !== null &&
    files.attempt(at, () => {
      checkClientCertificate(pair, 'the certificate', nowMs)
    })
  const authorityAt = [...at, 'certificateAuthority']
  const authority = await checkAuthority(tls?.certificateAuthority, authorityAt, files, nowMs)
  if (certificate !== null && authority !== null) {
    files.attempt(authorityAt, () => {
      checkIssued(certificate, authority, 'the certificate')
    })
  }
  return holds ? certificate : null
}
