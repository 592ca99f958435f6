import { API_VERSION, column, type ObjectKind } from './api-object.ts'
import { authorityData } from './discovery.ts'

/** A socket as the portal shows it. */
export interface PortalSocket {
  readonly name: string
  /** Where kubectl connects, such as `https://kube.example.com/sockets/production`. */
  readonly url: string
  /** PEM of the authority behind that address; empty when the authorities of people's machines do. */
  readonly certificateAuthority: string
  /** Whether sessions are recorded. */
  readonly recording: 'required' | 'best-effort' | 'off'
}

/** A socket and what a person may do there, in short phrases; at least one. */
export interface ReachableSocket {
  readonly socket: PortalSocket
  readonly access: readonly string[]
}

export const socketKind: ObjectKind<ReachableSocket> = {
  kind: 'Socket',
  columns: [
    column('Name', 'Name of the socket', { format: 'name' }),
    column('Access', 'What you may do there'),
    column('Recorded', 'Whether sessions are recorded'),
    column('URL', 'Where kubectl connects', { priority: 1 }),
  ],
  cells: ({ socket, access }) => [socket.name, access.join(', '), socket.recording, socket.url],
  toObject: ({ socket, access }) => ({
    apiVersion: API_VERSION,
    kind: 'Socket',
    metadata: { name: socket.name },
    spec: { recording: { sessions: socket.recording } },
    status: { url: socket.url, ...authorityData(socket.certificateAuthority), access },
  }),
}
