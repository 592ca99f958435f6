import type { DocumentPath } from '../document/document-path.ts'
import type { Sound } from '../document/document.ts'
import type { SecretReference } from '../document/secret.ts'
import { type LapseAt, lapseOfAuthorities, lapseOfClientCertificate } from '../upstream/certificates.ts'
import { EndpointError } from '../upstream/endpoint-error.ts'
import { parseServer } from '../upstream/endpoint.ts'
import { loadKubeconfig } from '../upstream/kubeconfig.ts'
import { FilesRead } from '../upstream/small-file.ts'
import { TokenFile } from '../upstream/token-file.ts'
import { readAuthority } from './authority-checks.ts'
import type { ConnectorInput } from './connector-schema.ts'
import type { NamedFiles } from './named-files.ts'
import { checkSecret, readReferred } from './secret-text.ts'
import { HOST_EXPECTED, hostName } from './socket-schema.ts'
import type { Surroundings } from './surroundings.ts'

type SoundSockets = NonNullable<Sound<ConnectorInput>>['sockets']
type SoundUpstream = NonNullable<NonNullable<NonNullable<SoundSockets>[number]>['upstream']>
type SoundServer = NonNullable<SoundUpstream['server']>

/**
 * Reads what an upstream is made of. What is malformed is a mistake; what has expired is a warning, since it keeps nobody
 * from the other sockets.
 */
export async function checkUpstream(
  upstream: SoundUpstream | undefined,
  at: DocumentPath,
  files: NamedFiles,
  surroundings: Surroundings,
): Promise<void> {
  const { kubeconfig, server, eks } = upstream ?? {}
  if (kubeconfig?.path !== undefined) {
    await checkKubeconfig([kubeconfig.path].flat(), kubeconfig.context, [...at, 'kubeconfig'], files, surroundings)
  }
  if (server !== undefined) await checkServer(server, [...at, 'server'], files, surroundings)
  for (const [name, reference] of Object.entries(eks?.credentials?.keys ?? {})) {
    await checkSecret(reference, [...at, 'eks', 'credentials', 'keys', name], files, surroundings.environment)
  }
}

async function checkKubeconfig(
  written: readonly (string | undefined)[],
  context: string | undefined,
  at: DocumentPath,
  files: NamedFiles,
  { nowMs }: Surroundings,
): Promise<void> {
  const path = written.filter((one) => one !== undefined).map((one) => files.resolve(one))
  const read = new FilesRead()
  try {
    const { credential, lapseAt } = await loadKubeconfig({ path, context }, read)
    credential.close()
    if (credential instanceof TokenFile) await files.see(at, credential.path)
    const lapse = lapseAt(nowMs)
    if (lapse !== '') files.warn(at, lapse)
  } catch (error) {
    if (!(error instanceof EndpointError)) throw error
    for (const problem of error.problems) files.refuse(at, problem)
  }
  for (const one of read.paths) await files.see(at, one)
}

async function checkServer(
  { url, certificateAuthority, tlsServerName, credential }: SoundServer,
  at: DocumentPath,
  files: NamedFiles,
  { environment, nowMs }: Surroundings,
): Promise<void> {
  const referred = (written: Sound<SecretReference>, place: DocumentPath): Promise<string | null> =>
    readReferred(written, place, files, environment)
  const pem = (written: string | Sound<SecretReference>, place: DocumentPath): Promise<string | null> =>
    typeof written === 'object' ? referred(written, place) : readAuthority(written, place, files)
  const warn = (place: DocumentPath, lapseOf: () => LapseAt): void => {
    files.attempt(place, () => {
      const lapse = lapseOf()(nowMs)
      if (lapse !== '') files.warn(place, lapse)
    })
  }

  const urlAt = [...at, 'url']
  const address = typeof url === 'object' ? await referred(url, urlAt) : url
  if (typeof address === 'string') files.attempt(urlAt, () => parseServer(address))
  if (typeof tlsServerName === 'object') {
    const nameAt = [...at, 'tlsServerName']
    const name = await referred(tlsServerName, nameAt)
    if (name !== null && !hostName.safeParse(name).success) files.refuse(nameAt, 'holds something else', HOST_EXPECTED)
  }
  const authorityAt = [...at, 'certificateAuthority']
  const authority = await pem(certificateAuthority, authorityAt)
  if (authority !== null) warn(authorityAt, () => lapseOfAuthorities(authority, 'the certificate authority'))
  const credentialAt = [...at, 'credential']
  await checkSecret(credential?.token, [...credentialAt, 'token'], files, environment)
  const pairAt = [...credentialAt, 'clientCertificate']
  const certificate = await pem(credential?.clientCertificate?.certificate, [...pairAt, 'certificate'])
  const key = await pem(credential?.clientCertificate?.key, [...pairAt, 'key'])
  if (certificate !== null && key !== null) {
    warn(pairAt, () => lapseOfClientCertificate({ certificate, key }, 'the certificate'))
  }
}
