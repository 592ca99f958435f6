import { stat } from 'node:fs/promises'
import { loadPublicKey } from '../audit/recording-store/encryption.ts'
import type { DocumentPath } from '../document/document-path.ts'
import type { Sound } from '../document/document.ts'
import type { SecretReference } from '../document/secret.ts'
import { MIN_CLIENT_SECRET_CHARACTERS } from '../identity/issuer-options.ts'
import { EndpointError } from '../upstream/endpoint-error.ts'
import { checkAuthorities, checkClientCertificate, checkIssued } from '../upstream/certificates.ts'
import { loadKubeconfig } from '../upstream/kubeconfig.ts'
import { isPem } from './certificate-authority.ts'
import type { ConnectorInput } from './connector-schema.ts'
import type { NamedFiles } from './named-files.ts'
import { listPolicyFiles, policyFilePattern } from './policy-files.ts'
import type { PolicyFilePattern } from './policy-files.ts'
import type { Surroundings } from './surroundings.ts'

type SoundConnector = NonNullable<Sound<ConnectorInput>>
type SoundSocket = NonNullable<SoundConnector['sockets']>[number]

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
  for (const name of ['kubernetes', 'portal'] as const) {
    const { tls } = document.listen?.[name] ?? {}
    const listed = isList(tls)
    for (const [index, pair] of (listed ? tls : [tls]).entries()) {
      const at = listed ? ['listen', name, 'tls', index] : ['listen', name, 'tls']
      await checkListenerCertificate(pair, at, files, nowMs)
    }
  }
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
  await checkRecordingKey(document.recordings?.encryption?.publicKey, files)

  const patterns: PolicyFilePattern[] = []
  for (const [index, written] of (document.policies ?? []).entries()) {
    if (written === undefined) continue
    const pattern = policyFilePattern(files.anchor(written))
    if ((await listPolicyFiles([pattern])).length > 0) patterns.push(pattern)
    else files.refuse(['policies', index], `"${written}" matches no file`, 'at least one policy file')
  }
  return patterns
}

/** As `Array.isArray`, of lists that are read-only too. */
function isList<T>(value: T | readonly T[] | undefined): value is readonly T[] {
  return Array.isArray(value)
}

async function checkRecordingKey(written: string | undefined, files: NamedFiles): Promise<void> {
  const at = ['recordings', 'encryption', 'publicKey']
  if (written === undefined || (await readIfNamed(written, at, files)) === null) return
  try {
    await loadPublicKey(files.resolve(written))
  } catch (error) {
    files.refuse(at, error instanceof Error ? error.message : String(error), 'a public key in PEM or JWK')
  }
}

interface SoundListenerCertificate {
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  readonly certificateAuthority?: string | undefined
}

async function checkListenerCertificate(
  tls: SoundListenerCertificate | undefined,
  at: DocumentPath,
  files: NamedFiles,
  nowMs: number,
): Promise<void> {
  const certificate = await readIfNamed(tls?.certificate, [...at, 'certificate'], files)
  const key = await readIfNamed(tls?.key, [...at, 'key'], files)
  checkPair(certificate, key, at, files, nowMs)
  const authorityAt = [...at, 'certificateAuthority']
  const authority = await checkAuthority(tls?.certificateAuthority, authorityAt, files, nowMs)
  if (certificate === null || authority === null) return
  attempt(files, authorityAt, () => {
    checkIssued(certificate, authority, 'the certificate')
  })
}

function checkPair(
  certificate: string | null,
  key: string | null,
  at: DocumentPath,
  files: NamedFiles,
  nowMs: number,
): void {
  if (certificate === null || key === null) return
  attempt(files, at, () => {
    checkClientCertificate({ certificate, key }, 'the certificate', nowMs)
  })
}

/** PEM from a file or an environment variable; null, and a mistake, when there is none. */
async function readPem(
  written: string | Sound<SecretReference>,
  at: DocumentPath,
  files: NamedFiles,
  environment: Surroundings['environment'],
): Promise<string | null> {
  if (written === undefined || typeof written === 'string') return readIfNamed(written, at, files)
  if (written.file !== undefined) return readIfNamed(written.file, [...at, 'file'], files)
  await checkSecret(written, at, files, environment)
  return environment[written.env ?? ''] ?? null
}

/** Its PEM; null, and a mistake, when it cannot be used, and null when none is named. */
async function checkAuthority(
  written: string | undefined,
  at: DocumentPath,
  files: NamedFiles,
  nowMs: number,
): Promise<string | null> {
  const pem = written !== undefined && isPem(written) ? written : await readIfNamed(written, at, files)
  if (pem === null) return null
  const holds = attempt(files, at, () => {
    checkAuthorities(pem, 'the certificate authority', nowMs)
  })
  return holds ? pem : null
}

async function checkUpstream(
  upstream: NonNullable<SoundSocket>['upstream'],
  at: DocumentPath,
  files: NamedFiles,
  { environment, nowMs }: Surroundings,
): Promise<void> {
  const { kubeconfig, server, eks } = upstream ?? {}
  if (kubeconfig?.path !== undefined) await checkKubeconfig([kubeconfig.path].flat(), kubeconfig.context, at, files)
  await checkAuthority(server?.certificateAuthority, [...at, 'server', 'certificateAuthority'], files, nowMs)
  const credentialAt = [...at, 'server', 'credential']
  await checkSecret(server?.credential?.token, [...credentialAt, 'token'], files, environment)
  const { certificate, key } = server?.credential?.clientCertificate ?? {}
  const pairAt = [...credentialAt, 'clientCertificate']
  checkPair(
    await readPem(certificate, [...pairAt, 'certificate'], files, environment),
    await readPem(key, [...pairAt, 'key'], files, environment),
    pairAt,
    files,
    nowMs,
  )
  for (const [name, reference] of Object.entries(eks?.credentials?.keys ?? {})) {
    await checkSecret(reference, [...at, 'eks', 'credentials', 'keys', name], files, environment)
  }
}

async function checkKubeconfig(
  written: readonly (string | undefined)[],
  context: string | undefined,
  at: DocumentPath,
  files: NamedFiles,
): Promise<void> {
  const path = written.filter((one) => one !== undefined).map((one) => files.resolve(one))
  try {
    const { credential } = await loadKubeconfig({ path, context })
    credential.close()
  } catch (error) {
    if (!(error instanceof EndpointError)) throw error
    for (const problem of error.problems) files.refuse([...at, 'kubeconfig'], problem)
  }
}

async function checkSecret(
  reference: Sound<SecretReference>,
  at: DocumentPath,
  files: NamedFiles,
  environment: Surroundings['environment'],
  minCharacters = 1,
): Promise<void> {
  const tooShort = (text: string): boolean => text !== '' && text.length < minCharacters
  const problem = `holds fewer than ${minCharacters} characters, which could be guessed`
  // A secret that was written in place of its file is not repeated.
  const text = reference?.file === undefined ? undefined : await files.read([...at, 'file'], reference.file, 'the file')
  const inFile = text?.trim()
  if (inFile === '') files.refuse([...at, 'file'], 'is an empty file', 'a file with the secret')
  else if (tooShort(inFile ?? '')) files.refuse([...at, 'file'], problem, 'a secret that the issuer made')
  const variable = reference?.env
  const inEnvironment = variable === undefined ? undefined : (environment[variable] ?? '').trim()
  if (inEnvironment === '') {
    files.refuse([...at, 'env'], `${variable ?? ''} is not set`, 'an environment variable with the secret')
  } else if (tooShort(inEnvironment ?? '')) files.refuse([...at, 'env'], problem, 'a secret that the issuer made')
}

async function checkTrailDirectory(written: string, files: NamedFiles): Promise<void> {
  const found = await stat(files.resolve(written)).catch(() => null)
  if (found !== null && !found.isDirectory()) {
    files.refuse(['audit', 'trail', 'directory'], 'is a file', 'a directory, or a name that is free')
  }
}

async function readIfNamed(written: string | undefined, at: DocumentPath, files: NamedFiles): Promise<string | null> {
  return written === undefined ? null : await files.read(at, written)
}

/** A check throws an Error with one phrase. */
/** Whether `check` found nothing wrong. */
function attempt(files: NamedFiles, at: DocumentPath, check: () => void): boolean {
  try {
    check()
    return true
  } catch (error) {
    files.refuse(at, error instanceof Error ? error.message : String(error))
    return false
  }
}
