import type { Logger } from 'pino'
import type { ServerCredentialConfig, SocketConfig, UpstreamConfig } from '../config/connector-config.ts'
import type { SecretText } from '../document/secret.ts'
import type { SocketTable } from '../gateway/socket-table.ts'
import { type Socket } from '../gateway/socket-table.ts'
import type { UpstreamHealth } from '../gateway/upstream-health.ts'
import type { ServiceAccountsOptions } from '../identity/service-accounts.ts'
import type { Endpoint, EndpointParts, Text } from '../upstream/endpoint.ts'
import { loadInCluster } from '../upstream/in-cluster.ts'
import { loadKubeconfig } from '../upstream/kubeconfig.ts'
import { postObject } from '../upstream/json-request.ts'
import { ReloadedUpstream, type UpstreamEvents } from '../upstream/reloaded-upstream.ts'
import type { FilesRead } from '../upstream/small-file.ts'
import { loadStaticServer } from '../upstream/static-server.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** What the log says of a socket whose credentials, authorities or address change. */
export function upstreamEvents(
  socket: string,
  health: ReadonlyMap<string, UpstreamHealth>,
  log: Logger,
): UpstreamEvents {
  return {
    onReloaded() {
      log.info({ socket }, 'upstream.reloaded')
      health.get(socket)?.suspect()
    },
    onRefused(problem) {
      log.error({ socket, error: problem }, 'upstream.refused')
    },
    onMended() {
      log.info({ socket }, 'upstream.mended')
    },
  }
}

/**
 * Opens the sockets' upstreams, all at once, since each may take as long as AWS does. `owned` closes them.
 *
 * @returns in the order of the document.
 * @throws EndpointError of the first that cannot be opened, when none is being opened any more.
 */
export async function openSockets(
  configs: readonly SocketConfig[],
  owned: AsyncDisposableStack,
  eventsOf: (socket: string) => UpstreamEvents,
): Promise<Socket[]> {
  const opening = configs.map(async ({ name, hosts, forwardAs, recording, upstream: config }): Promise<Socket> => {
    const upstream = await openUpstream(config, eventsOf(name))
    owned.defer(() => {
      upstream.close()
    })
    return { name, hosts, forwardAs, upstream, recordSessions: recording.sessions, recordInput: recording.input }
  })
  // So that `owned` has all that were opened.
  await Promise.allSettled(opening)
  return await Promise.all(opening)
}

async function openUpstream(config: UpstreamConfig, events: UpstreamEvents): Promise<Upstream> {
  if (config.kind !== 'eks') {
    return ReloadedUpstream.open({ load: (files) => loadEndpoint(config, files), ...events })
  }
  // With it comes the AWS SDK: a tenth of a second and 5 MB.
  const { EksUpstream } = await import('../upstream/eks/eks-upstream.ts')
  return EksUpstream.open(config, events)
}

function loadEndpoint(
  upstream: Exclude<UpstreamConfig, { readonly kind: 'eks' }>,
  files: FilesRead,
): Promise<Endpoint> {
  switch (upstream.kind) {
    case 'kubeconfig':
      return loadKubeconfig(upstream, files)
    case 'inCluster':
      return loadInCluster(process.env, undefined, files)
    case 'server': {
      const { url, certificateAuthority, tlsServerName, credential } = upstream
      const parts = { server: url, certificateAuthority, tlsServerName, ...credentialParts(credential) }
      return loadStaticServer(parts, files)
    }
  }
}

function credentialParts(credential: ServerCredentialConfig): Pick<EndpointParts, 'token' | 'clientCertificate'> {
  switch (credential.kind) {
    case 'token':
      return { token: { value: credential.value.reveal() } }
    case 'tokenFile':
      return { token: { file: credential.file } }
    case 'clientCertificate': {
      const { certificate, key } = credential
      return { clientCertificate: { certificate: revealed(certificate), key: revealed(key) } }
    }
  }
}

function revealed(text: SecretText): Text {
  return 'file' in text ? text : { value: text.value.reveal() }
}

/** Of the cluster that a socket leads to, which is asked with the connector's own credential there. */
export function serviceAccounts(
  options: Omit<ServiceAccountsOptions, 'review'>,
  sockets: SocketTable,
): ServiceAccountsOptions {
  const upstream = [...sockets.sockets].find(({ name }) => name === options.socket)?.upstream
  if (upstream === undefined) throw new TypeError(`there is no socket ${options.socket}`)
  return {
    ...options,
    review: (request, signal) => postObject(upstream, '/apis/authentication.k8s.io/v1/tokenreviews', request, signal),
  }
}
