import { Secret } from '../document/secret.ts'
import type { IssuerOptions } from '../identity/issuer-options.ts'
import { isPem } from './certificate-authority.ts'
import type {
  ConnectorConfig,
  RecordingsConfig,
  ServerCredentialConfig,
  TlsListenerConfig,
  UpstreamConfig,
} from './connector-config.ts'
import type { ConnectorDocument } from './connector-schema.ts'
import { eksOptions } from './eks-options.ts'
import type { NamedFiles } from './named-files.ts'
import { policyFilePattern } from './policy-files.ts'
import type { Surroundings } from './surroundings.ts'

/** The config that a document without mistakes means. Its files were read. */
export function completeConfig(
  document: ConnectorDocument,
  files: NamedFiles,
  { environment }: Surroundings,
): ConnectorConfig {
  const { listen, limits, recordings } = document
  const trail = document.audit.trail
  return {
    listen: {
      kubernetes: tlsListener(listen.kubernetes, files),
      portal: tlsListener(listen.portal, files),
      ops: listen.ops,
    },
    identity: { issuers: document.identity.issuers.map((entry) => issuerOptions(entry, files)) },
    sockets: document.sockets.map((socket) => ({
      ...socket,
      upstream: upstreamConfig(socket.upstream, files, environment),
      recording: {
        ...socket.recording,
        sessions: socket.recording.sessions ?? (recordings === undefined ? 'off' : 'required'),
      },
    })),
    defaultSocket: document.defaultSocket ?? null,
    policies: document.policies.map((written) => policyFilePattern(files.anchor(written))),
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
      drainTimeoutMs: limits.drainTimeout,
      expiredTokenGraceMs: limits.expiredTokenGrace,
      maxHeaderBytes: limits.maxHeaderSize,
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxConnections: limits.maxConnections,
    },
  }
}

function tlsListener(listener: ConnectorDocument['listen']['portal'], files: NamedFiles): TlsListenerConfig {
  const { address, publicURL, trustedProxies, tls } = listener
  return {
    address,
    publicURL,
    trustedProxies,
    tls: { certificate: files.text(tls.certificate), key: new Secret(files.text(tls.key)) },
  }
}

function issuerOptions(entry: ConnectorDocument['identity']['issuers'][number], files: NamedFiles): IssuerOptions {
  const { issuer, client, claimMappings, claimValidationRules } = entry
  const { certificateAuthority } = issuer
  return {
    url: issuer.url,
    ...(issuer.discoveryURL !== undefined && { discoveryURL: issuer.discoveryURL }),
    ...(certificateAuthority !== undefined && {
      certificateAuthority: isPem(certificateAuthority) ? certificateAuthority : files.text(certificateAuthority),
    }),
    audiences: issuer.audiences,
    algorithms: issuer.signingAlgorithms,
    client,
    claimMappings: {
      username: claimMappings.username,
      ...(claimMappings.groups !== undefined && { groups: claimMappings.groups }),
      ...(claimMappings.uid !== undefined && { uid: claimMappings.uid }),
      ...(claimMappings.extra !== undefined && { extra: claimMappings.extra }),
    },
    claimValidationRules,
  }
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
    return { kind: 'kubeconfig', path: files.resolve(kubeconfig.path), context: kubeconfig.context }
  }
  if (eks !== undefined) return { kind: 'eks', ...eksOptions(eks, files, environment) }
  if (server === undefined) return { kind: 'inCluster' }
  const { certificateAuthority } = server
  return {
    kind: 'server',
    url: server.url,
    certificateAuthority: isPem(certificateAuthority)
      ? { value: certificateAuthority }
      : { file: files.resolve(certificateAuthority) },
    tlsServerName: server.tlsServerName,
    credential: serverCredential(server.credential, files, environment),
  }
}

function serverCredential(
  { token, clientCertificate }: NonNullable<Upstream['server']>['credential'],
  files: NamedFiles,
  environment: Surroundings['environment'],
): ServerCredentialConfig {
  if (clientCertificate !== undefined) {
    return {
      kind: 'clientCertificate',
      certificateFile: files.resolve(clientCertificate.certificate),
      keyFile: files.resolve(clientCertificate.key),
    }
  }
  if (token.file !== undefined) return { kind: 'tokenFile', file: files.resolve(token.file) }
  return { kind: 'token', value: new Secret((environment[token.env] ?? '').trim()) }
}
