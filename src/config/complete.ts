import { isAbsolute, join } from 'node:path'
import type { Several } from '../document/one-or-more.ts'
import { Secret, type SecretReference, type SecretText } from '../document/secret.ts'
import type { GroupsSourceOptions } from '../identity/groups-source-options.ts'
import type { IssuerOptions } from '../identity/issuer-options.ts'
import type { Text } from '../upstream/endpoint.ts'
import { isPem } from './certificate-authority.ts'
import type { CertificateFiles, CertificateFilesList } from './certificate-files.ts'
import type {
  ConnectorConfig,
  IdentityConfig,
  RecordingsConfig,
  ServerCredentialConfig,
  TlsListenerConfig,
  UpstreamConfig,
} from './connector-config.ts'
import type { ConnectorDocument } from './connector-schema.ts'
import { eksOptions } from './eks-options.ts'
import type { NamedFiles } from './named-files.ts'
import { policyFilePattern } from './policy-files.ts'
import { referredText, secretText } from './secret-text.ts'
import type { Surroundings } from './surroundings.ts'

/** The config that a document without mistakes means. Its files were read. */
export function completeConfig(
  document: ConnectorDocument,
  files: NamedFiles,
  surroundings: Surroundings,
): ConnectorConfig {
  const { environment } = surroundings
  const { listen, limits, recordings } = document
  const trail = document.audit.trail
  return {
    listen: {
      kubernetes: tlsListener(listen.kubernetes, files),
      portal: tlsListener(listen.portal, files),
      ops: listen.ops,
    },
    identity: identityConfig(document.identity, files, environment),
    sockets: document.sockets.map((socket) => ({
      ...socket,
      upstream: upstreamConfig(socket.upstream, files, environment),
      recording: {
        ...socket.recording,
        sessions: socket.recording.sessions ?? (recordings === undefined ? 'off' : 'required'),
      },
    })),
    defaultSocket: document.defaultSocket ?? null,
    policies: (document.policies ?? []).map((written) => policyFilePattern(files.anchor(written))),
    policyObjects: document.policyObjects ?? null,
    audit: {
      trail:
        trail.directory === undefined
          ? { kind: 'stdout' }
          : { kind: 'directory', path: files.resolve(trail.directory) },
      requestReceived: document.audit.requestReceived,
    },
    recordings: recordings === undefined ? null : recordingsConfig(recordings, files),
    limits: {
      requestHeadTimeoutMs: limits.requestHeadTimeout,
      requestBodyTimeoutMs: limits.requestBodyTimeout,
      idleConnectionTimeoutMs: limits.idleConnectionTimeout,
      responseHeadTimeoutMs: limits.responseHeadTimeout,
      upgradeTimeoutMs: limits.upgradeTimeout,
      shutdownDelayMs: limits.shutdownDelay,
      drainTimeoutMs: limits.drainTimeout,
      expiredTokenGraceMs: limits.expiredTokenGrace,
      maxHeaderBytes: limits.maxHeaderSize,
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxConnections: limits.maxConnections,
    },
    stateDirectory:
      document.stateDirectory === undefined ? ownStateDirectory(surroundings) : files.resolve(document.stateDirectory),
    loginsDirectory:
      document.stateDirectory === undefined ? givenStateDirectory(environment) : files.resolve(document.stateDirectory),
  }
}

/** @see systemd.exec(5), RuntimeDirectory=; XDG Base Directory Specification */
function ownStateDirectory({ environment, home }: Surroundings): string {
  const given = givenStateDirectory(environment)
  if (given !== null) return given
  const stateHome = environment['XDG_STATE_HOME'] ?? ''
  return join(isAbsolute(stateHome) ? stateHome : join(home, '.local', 'state'), 'postern')
}

/** That of systemd; null without one. */
function givenStateDirectory(environment: Surroundings['environment']): string | null {
  const [given = ''] = (environment['STATE_DIRECTORY'] ?? '').split(':')
  return isAbsolute(given) ? given : null
}

function tlsListener(
  listener: ConnectorDocument['listen']['portal' | 'kubernetes'],
  files: NamedFiles,
): TlsListenerConfig {
  const { address, publicURL, trustedProxies, tls } = listener
  return {
    address,
    publicURL,
    trustedProxies,
    tls: tls === undefined ? null : certificateFiles(tls, files),
  }
}

function certificateFiles(
  [first, ...rest]: NonNullable<ConnectorDocument['listen']['kubernetes']['tls']>,
  files: NamedFiles,
): CertificateFilesList {
  const resolved = ({ certificate, key, certificateAuthority }: typeof first): CertificateFiles => ({
    certificate: files.resolve(certificate),
    key: files.resolve(key),
    ...(certificateAuthority !== undefined && { certificateAuthority: textOrFile(certificateAuthority, files) }),
  })
  return [resolved(first), ...rest.map(resolved)]
}

function identityConfig(
  { issuers, serviceAccounts, clientCertificates }: ConnectorDocument['identity'],
  files: NamedFiles,
  environment: Surroundings['environment'],
): IdentityConfig {
  return {
    issuers: issuers.map((entry) => issuerOptions(entry, files, environment)),
    serviceAccounts,
    clientCertificates:
      clientCertificates === undefined
        ? null
        : {
            prefix: clientCertificates.prefix,
            authorities: textOrFile(clientCertificates.certificateAuthority, files),
          },
  }
}

/** For whoever reads the file again when it changes. */
function textOrFile(written: string, files: NamedFiles): Text {
  return isPem(written) ? { value: written } : { file: files.resolve(written) }
}

function authorityText(written: string, files: NamedFiles): string {
  return isPem(written) ? written : files.text(written)
}

type Issuer = ConnectorDocument['identity']['issuers'][number]

function issuerOptions(entry: Issuer, files: NamedFiles, environment: Surroundings['environment']): IssuerOptions {
  const { issuer, client, claimMappings, sharesNamesWith, claimValidationRules, userValidationRules, groupsFrom } =
    entry
  const { certificateAuthority } = issuer
  return {
    url: issuer.url,
    ...(issuer.discoveryURL !== undefined && { discoveryURL: issuer.discoveryURL }),
    ...(certificateAuthority !== undefined && {
      certificateAuthority: authorityText(certificateAuthority, files),
    }),
    audiences: issuer.audiences,
    algorithms: issuer.signingAlgorithms,
    ...(client !== undefined && { client: clientOptions(client, files, environment) }),
    claimMappings: {
      username: claimMappings.username,
      ...(claimMappings.groups !== undefined && { groups: claimMappings.groups }),
      ...(claimMappings.uid !== undefined && { uid: claimMappings.uid }),
      ...(claimMappings.extra !== undefined && { extra: claimMappings.extra }),
    },
    ...(sharesNamesWith !== undefined && { sharesNamesWith }),
    claimValidationRules,
    userValidationRules,
    ...(groupsFrom !== undefined && { groupsFrom: groupsSource(groupsFrom, files, environment) }),
  }
}

function clientOptions(
  { secret, tokenEndpointAuthMethod, authorizationParameters = {}, ...client }: NonNullable<Issuer['client']>,
  files: NamedFiles,
  environment: Surroundings['environment'],
): NonNullable<IssuerOptions['client']> {
  if (secret === undefined) return client
  const confidential = {
    secret: secretText(secret, files, environment),
    authorizationParameters,
    ...(tokenEndpointAuthMethod !== undefined && { tokenEndpointAuthMethod }),
  }
  return { ...client, confidential }
}

function groupsSource(
  { graph }: NonNullable<Issuer['groupsFrom']>,
  files: NamedFiles,
  environment: Surroundings['environment'],
): GroupsSourceOptions {
  if (graph === undefined) return { kind: 'userinfo' }
  const { certificateAuthority, credentials, ...rest } = graph
  return {
    kind: 'graph',
    ...rest,
    ...(certificateAuthority !== undefined && { certificateAuthority: authorityText(certificateAuthority, files) }),
    credentials: { ...credentials, clientSecret: secretValue(credentials.clientSecret, files, environment) },
  }
}

function secretValue(
  { file, env }: SecretReference,
  files: NamedFiles,
  environment: Surroundings['environment'],
): Secret {
  return new Secret((file === undefined ? (environment[env] ?? '') : files.text(file)).trim())
}

function recordingsConfig(
  { store, encryption, retention, maskInput }: NonNullable<ConnectorDocument['recordings']>,
  files: NamedFiles,
): RecordingsConfig {
  return {
    store: recordingStore(store, files),
    publicKeyFile: encryption === undefined ? null : files.resolve(encryption.publicKey),
    maxAgeMs: retention.maxAge ?? null,
    maxBytes: retention.maxSize ?? null,
    maskInput,
  }
}

function recordingStore(
  { directory, s3 }: NonNullable<ConnectorDocument['recordings']>['store'],
  files: NamedFiles,
): RecordingsConfig['store'] {
  if (s3 === undefined) return { kind: 'directory', path: files.resolve(directory) }
  const { spool, maxSpoolSize, endpoint, ...bucket } = s3
  return { kind: 's3', ...bucket, endpoint, spool: files.resolve(spool), maxSpoolBytes: maxSpoolSize }
}

type Upstream = ConnectorDocument['sockets'][number]['upstream']

function upstreamConfig(
  { kubeconfig, server, eks }: Upstream,
  files: NamedFiles,
  environment: Surroundings['environment'],
): UpstreamConfig {
  if (kubeconfig !== undefined) {
    return { kind: 'kubeconfig', path: resolveAll(kubeconfig.path, files), context: kubeconfig.context }
  }
  if (eks !== undefined) return { kind: 'eks', ...eksOptions(eks, files, environment) }
  if (server === undefined) return { kind: 'inCluster' }
  const { url, certificateAuthority, tlsServerName } = server
  const inPlace = (value: string): Text => ({ value })
  const text = (written: string | SecretReference, meant: (written: string) => Text): Text =>
    typeof written === 'string' ? meant(written) : referredText(written, files, environment)
  return {
    kind: 'server',
    url: text(url, inPlace),
    certificateAuthority: text(certificateAuthority, (written) => textOrFile(written, files)),
    tlsServerName: tlsServerName === undefined ? undefined : text(tlsServerName, inPlace),
    credential: serverCredential(server.credential, files, environment),
  }
}

function resolveAll([first, ...rest]: Several<string>, files: NamedFiles): Several<string> {
  return [files.resolve(first), ...rest.map((path) => files.resolve(path))]
}

function serverCredential(
  { token, clientCertificate }: NonNullable<Upstream['server']>['credential'],
  files: NamedFiles,
  environment: Surroundings['environment'],
): ServerCredentialConfig {
  if (clientCertificate !== undefined) {
    const text = (written: string | SecretReference): SecretText =>
      secretText(typeof written === 'string' ? { file: written } : written, files, environment)
    const { certificate, key } = clientCertificate
    return { kind: 'clientCertificate', certificate: text(certificate), key: text(key) }
  }
  if (token.file !== undefined) return { kind: 'tokenFile', file: files.resolve(token.file) }
  return { kind: 'token', value: new Secret((environment[token.env] ?? '').trim()) }
}
