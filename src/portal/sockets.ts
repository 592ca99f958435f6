import { authorityData } from './discovery.ts'
import type { ObjectFormat } from './object-format.ts'

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

const API_VERSION = 'postern.dev/v1alpha1'

/** A Socket, or the one-row Table that kubectl prints. */
export function renderSocket(reachable: ReachableSocket, format: ObjectFormat): unknown {
  return format.as === 'object' ? toObject(reachable) : toTable([reachable], format)
}

/** A SocketList, or the Table that kubectl prints. */
export function renderSocketList(reachable: readonly ReachableSocket[], format: ObjectFormat): unknown {
  if (format.as === 'table') return toTable(reachable, format)
  return { apiVersion: API_VERSION, kind: 'SocketList', metadata: {}, items: reachable.map(toObject) }
}

function toObject({ socket, access }: ReachableSocket): unknown {
  return {
    apiVersion: API_VERSION,
    kind: 'Socket',
    metadata: { name: socket.name },
    spec: { recording: { sessions: socket.recording } },
    status: { url: socket.url, ...authorityData(socket.certificateAuthority), access },
  }
}

const COLUMNS = [
  { name: 'Name', type: 'string', format: 'name', description: 'Name of the socket', priority: 0 },
  { name: 'Access', type: 'string', format: '', description: 'What you may do there', priority: 0 },
  { name: 'Recorded', type: 'string', format: '', description: 'Whether sessions are recorded', priority: 0 },
  { name: 'URL', type: 'string', format: '', description: 'Where kubectl connects', priority: 1 },
]

/** @see k8s.io/apimachinery `pkg/apis/meta/v1/types.go`, Table */
function toTable(
  reachable: readonly ReachableSocket[],
  { apiVersion, includeObject }: ObjectFormat & { as: 'table' },
): unknown {
  return {
    kind: 'Table',
    apiVersion,
    metadata: {},
    columnDefinitions: COLUMNS,
    rows: reachable.map((one) => ({
      cells: [one.socket.name, one.access.join(', '), one.socket.recording, one.socket.url],
      object:
        includeObject === 'Object' ? toObject(one) : includeObject === 'None' ? null : toMetadata(one, apiVersion),
    })),
  }
}

function toMetadata({ socket }: ReachableSocket, apiVersion: string): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion, metadata: { name: socket.name } }
}
