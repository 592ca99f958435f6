import { join } from 'node:path'
import { stringify } from 'yaml'
import { type CertificateAuthority, createCertificateAuthority } from '../../sandbox/certificates.ts'
import type { PosternOptions } from '../../sandbox/postern.ts'
import { AtomicVolume } from './atomic-volume.ts'
import type { StagedApiServer } from './staged-api-server.ts'
import { type ConnectorProcess, startStagedConnector } from './staged-connector.ts'
import { STAGED_POLICY } from './staged-gateway.ts'

/** Sockets that {@link startRotatedConnector} has: one with a token file and an authority, one with a kubeconfig. */
export const ROTATED_SOCKETS = ['production', 'second']

/** A connector each of whose files is in a volume, as in a pod, and the authorities that are in force. */
export interface RotatedConnector {
  readonly connector: ConnectorProcess
  /** Of the listeners' certificates. */
  readonly listeners: CertificateAuthority
  /** `tls.crt` and `tls.key`. */
  readonly listener: AtomicVolume
  /** `ca.crt` and `token` of the first socket, as a service account's volume has them. */
  readonly serviceAccount: AtomicVolume
  /** `config` of the second socket. */
  readonly kubeconfig: AtomicVolume
  /** `*.yaml` */
  readonly policies: AtomicVolume
}

/** Starts one with {@link STAGED_POLICY}. The caller stops it. */
export async function startRotatedConnector(options: Pick<PosternOptions, 'built'> = {}): Promise<RotatedConnector> {
  const listeners = createCertificateAuthority('listeners')
  const volumes = Promise.withResolvers<Omit<RotatedConnector, 'connector' | 'listeners'>>()
  const connector = await startStagedConnector({
    ...options,
    async prepare(directory, { url, certificateAuthority, token }) {
      const volume = (name: string, files: Readonly<Record<string, string>>): Promise<AtomicVolume> =>
        AtomicVolume.create(join(directory, name), files)
      volumes.resolve({
        listener: await volume('listener', listenerFiles(listeners)),
        serviceAccount: await volume('service-account', { 'ca.crt': certificateAuthority, token }),
        kubeconfig: await volume('kubeconfig', { config: renderKubeconfig(url, certificateAuthority, token) }),
        policies: await volume('policies', { 'developers.yaml': STAGED_POLICY }),
      })
    },
    adjust(document, directory) {
      const tls = { certificate: 'listener/tls.crt', key: 'listener/tls.key' }
      const [first, second] = ROTATED_SOCKETS
      const inPod = {
        certificateAuthority: join(directory, 'service-account', 'ca.crt'),
        credential: { token: { file: 'service-account/token' } },
      }
      const server = document.sockets[0]?.upstream.server
      if (server === undefined) throw new Error('the staged document has no server')
      return {
        ...document,
        listen: {
          ...document.listen,
          kubernetes: { ...document.listen.kubernetes, tls },
          portal: { ...document.listen.portal, tls },
        },
        sockets: [
          { name: first ?? '', upstream: { server: { ...server, ...inPod } } },
          { name: second ?? '', upstream: { kubeconfig: { path: 'kubeconfig/config' } } },
        ],
        policies: ['policies/*.yaml'],
      }
    },
  })
  return { connector, listeners, ...(await volumes.promise) }
}

/** What the listener's volume holds with a new certificate of the authority. */
export function listenerFiles(authority: CertificateAuthority): Record<string, string> {
  const { cert, key } = authority.issueServer()
  return { 'tls.crt': cert + authority.certificate, 'tls.key': key }
}

/** @param certificateAuthority PEM. */
export function renderKubeconfig(server: string, certificateAuthority: string, token: string): string {
  const data = Buffer.from(certificateAuthority).toString('base64')
  return stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [{ name: 'a', cluster: { server, 'certificate-authority-data': data } }],
    users: [{ name: 'a', user: { token } }],
  })
}

/** Values of `Authorization` that the API server was shown since its memory was emptied. */
export function credentialsSeen({ seen }: StagedApiServer): Set<string> {
  return new Set(seen.map(({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('Authorization') + 1] ?? ''))
}
