import type { Bytes } from '../document/size.ts'
import type { ListenAddress } from '../document/listen-address.ts'
import type { Milliseconds } from '../document/duration.ts'
import type { Several } from '../document/one-or-more.ts'
import type { Secret, SecretText } from '../document/secret.ts'
import type { ClientCertificatesOptions } from '../identity/client-certificates.ts'
import type { IssuerOptions } from '../identity/issuer-options.ts'
import type { ServiceAccountsOptions } from '../identity/service-accounts.ts'
import type { ForwardAs } from '../kube/impersonation.ts'
import type { EksOptions } from '../upstream/eks/eks-options.ts'
import type { Text } from '../upstream/endpoint.ts'
import type { CertificateFilesList } from './certificate-files.ts'
import type { PolicyFilePattern } from './policy-files.ts'

/**
 * A connector document, complete: defaults filled in, paths absolute, files read, secrets resolved. Deeply frozen.
 * Prints without a secret.
 */
export interface ConnectorConfig {
  readonly listen: {
    readonly kubernetes: TlsListenerConfig
    readonly portal: TlsListenerConfig
    readonly ops: { readonly address: ListenAddress }
  }
  readonly identity: IdentityConfig
  readonly sockets: readonly SocketConfig[]
  /** Name of one of the sockets, or null. */
  readonly defaultSocket: string | null
  /** Each matched a file when the document was loaded. */
  readonly policies: readonly PolicyFilePattern[]
  /** Policies that are Kubernetes objects; null for none. */
  readonly policyObjects: { readonly socket: string; readonly namespaced: boolean } | null
  readonly audit: {
    readonly trail: { readonly kind: 'directory'; readonly path: string } | { readonly kind: 'stdout' }
    readonly requestReceived: boolean
  }
  /** Null when no session is recorded. */
  readonly recordings: RecordingsConfig | null
  readonly limits: LimitsConfig
  /** Where the authority of a trial certificate is kept. An absolute path; it need not exist. */
  readonly stateDirectory: string
  /** Where logins are kept, an absolute path that need not exist. Null keeps them in memory alone. */
  readonly loginsDirectory: string | null
}

/** Who may come in. */
export interface IdentityConfig {
  readonly issuers: readonly IssuerOptions[]
  /** Sockets are among the config's. */
  readonly serviceAccounts: readonly Omit<ServiceAccountsOptions, 'review'>[]
  /** Null when none are asked for. */
  readonly clientCertificates:
    | (ClientCertificatesOptions & { /** PEM, which may change where it is in a file. */ readonly authorities: Text })
    | null
}

/** Where recordings are kept. Paths are absolute. */
export interface RecordingsConfig {
  readonly store:
    | { readonly kind: 'directory'; readonly path: string }
    | {
        readonly kind: 's3'
        readonly bucket: string
        readonly region: string
        readonly prefix: string
        /** Undefined means that of AWS for the region. */
        readonly endpoint: string | undefined
        readonly forcePathStyle: boolean
        readonly spool: string
        readonly maxSpoolBytes: Bytes
      }
  /** Path of the key that they are encrypted to; null leaves them in the clear. */
  readonly publicKeyFile: string | null
  /** Null keeps them for ever. */
  readonly maxAgeMs: Milliseconds | null
  /** Null keeps them all. */
  readonly maxBytes: Bytes | null
  /** Sources of regular expressions. */
  readonly maskInput: readonly string[]
}

export interface TlsListenerConfig {
  readonly address: ListenAddress
  /** Each was in force, and belonged to its key, when the document was loaded. Null asks for a trial certificate. */
  readonly tls: CertificateFilesList | null
  /** An origin, without a slash at the end. */
  readonly publicURL: string
  /** Addresses and ranges of addresses. */
  readonly trustedProxies: readonly string[]
}

export interface SocketConfig {
  readonly name: string
  readonly hosts: readonly string[]
  readonly upstream: UpstreamConfig
  readonly forwardAs: ForwardAs
  readonly recording: { readonly sessions: 'required' | 'best-effort' | 'off'; readonly input: boolean }
}

/** What an upstream is made of. Paths are absolute; the files may change at any time. */
export type UpstreamConfig =
  | {
      readonly kind: 'kubeconfig'
      readonly path: Several<string>
      /** Undefined means `current-context`. */
      readonly context: string | undefined
    }
  | { readonly kind: 'inCluster' }
  | {
      readonly kind: 'server'
      readonly url: Text
      /** PEM. */
      readonly certificateAuthority: Text
      /** Undefined means the host of `url`. */
      readonly tlsServerName: Text | undefined
      readonly credential: ServerCredentialConfig
    }
  | ({ readonly kind: 'eks' } & EksOptions)

export type ServerCredentialConfig =
  | { readonly kind: 'token'; readonly value: Secret }
  | { readonly kind: 'tokenFile'; readonly file: string }
  | { readonly kind: 'clientCertificate'; readonly certificate: SecretText; readonly key: SecretText }

interface LimitsConfig {
  readonly requestHeadTimeoutMs: Milliseconds
  readonly requestBodyTimeoutMs: Milliseconds
  readonly idleConnectionTimeoutMs: Milliseconds
  readonly responseHeadTimeoutMs: Milliseconds
  readonly upgradeTimeoutMs: Milliseconds
  readonly shutdownDelayMs: Milliseconds
  readonly drainTimeoutMs: Milliseconds
  readonly expiredTokenGraceMs: Milliseconds
  readonly maxHeaderBytes: Bytes
  readonly maxConcurrentStreams: number
  readonly maxConnections: number
}
