import { Secret } from '../document/secret.ts'
import type { IssuerOptions } from '../identity/issuer-options.ts'
import { isPem } from './certificate-authority.ts'
import type { ConnectorConfig, ServerCredentialConfig, TlsListenerConfig, UpstreamConfig } from './connector-config.ts'
import type { ConnectorDocument } from './connector-schema.ts'
import type { NamedFiles } from './named-files.ts'
import { policyFilePattern } from './policy-files.ts'
import type { Surroundings } from './surroundings.ts'

/** The config that a document without mistakes means. Its files were read. */
export function completeConfig(
  document: ConnectorDocument,
  files: NamedFiles,
  { environment }: Surroundings,
): ConnectorConfig {
  const { listen, limits } = document
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
    limits: {
      requestHeadTimeoutMs: limits.requestHeadTimeout,
      requestBodyTimeoutMs: limits.requestBodyTimeout,
      idleConnectionTimeoutMs: limits.idleConnectionTimeout,
      responseHeadTimeoutMs: limits.responseHeadTimeout,
      upgradeTimeoutMs: limits.upgradeTimeout,
      drainTimeoutMs: limits.drainTimeout,
      maxHeaderBytes: limits.maxHeaderSize,
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxConnections: limits.maxConnections,
    },
  }
}

function tlsListener(listener: ConnectorDocument['listen']['portal'], files: NamedFiles): TlsListenerConfig {
  const { address, publicURL, tls } = listener
  return { address, publicURL, tls: { certificate: files.text(tls.certificate), key: new Secret(files.text(tls.key)) } }
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

type Upstream = ConnectorDocument['sockets'][number]['upstream']

function upstreamConfig(
  { kubeconfig, server }: Upstream,
  files: NamedFiles,
  environment: Surroundings['environment'],
): UpstreamConfig {
  if (kubeconfig !== undefined) {
    return { kind: 'kubeconfig', path: files.resolve(kubeconfig.path), context: kubeconfig.context }
  }
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
