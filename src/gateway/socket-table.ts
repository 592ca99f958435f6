import type { ForwardAs } from '../kube/impersonation.ts'
import { StatusError, badRequest, failure } from '../kube/status.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** One named way in to one cluster. */
export interface Socket {
  readonly name: string
  /** Host names, lower-case and without port, that mean this socket. */
  readonly hosts: readonly string[]
  readonly upstream: Upstream
  readonly forwardAs: ForwardAs
  /** Whether sessions are recorded, where the rules leave it open. */
  readonly recordSessions: 'required' | 'best-effort' | 'off'
  /** Whether what is typed in them is recorded too. */
  readonly recordInput: boolean
}

/** The socket that a request names, and the rest of its target. */
export interface Route {
  readonly socket: Socket
  /** `/sockets/NAME`, or empty when the host or the default named the socket. */
  readonly prefix: string
  /** Begins with `/`. */
  readonly rawTarget: string
}

const PREFIX = '/sockets/'
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** Finds the socket of each request. */
export class SocketTable {
  readonly #byName = new Map<string, Socket>()
  readonly #byHost = new Map<string, Socket>()
  readonly #default: Socket | null

  /** @throws TypeError when two sockets share a name or a host, or the default does not exist. */
  constructor(sockets: readonly Socket[], defaultSocket: string | null) {
    for (const socket of sockets) {
      if (this.#byName.has(socket.name)) throw new TypeError(`two sockets are named ${socket.name}`)
      this.#byName.set(socket.name, socket)
      for (const host of socket.hosts) {
        if (this.#byHost.has(host)) throw new TypeError(`two sockets have the host ${host}`)
        this.#byHost.set(host, socket)
      }
    }
    const found = defaultSocket === null ? null : this.#byName.get(defaultSocket)
    if (found === undefined) throw new TypeError(`there is no socket ${String(defaultSocket)}`)
    this.#default = found
  }

  get sockets(): Iterable<Socket> {
    return this.#byName.values()
  }

  /**
   * Path prefix, then host name, then the default. A path and a host that name different sockets are refused.
   *
   * @param authority the `Host` header or `:authority`, as received; may be empty.
   * @throws StatusError 404 when no socket is meant, 400 when path and host disagree.
   */
  route(rawTarget: string, authority: string): Route {
    const hosted = this.#byHost.size === 0 ? undefined : this.#byHost.get(hostName(authority))
    if (!rawTarget.startsWith(PREFIX)) {
      const socket = hosted ?? this.#default
      if (socket === null) throw noSocket('the address names no socket')
      return { socket, prefix: '', rawTarget }
    }
    const end = nameEnd(rawTarget)
    const name = rawTarget.slice(PREFIX.length, end)
    const socket = NAME.test(name) ? this.#byName.get(name) : undefined
    if (socket === undefined)
      throw noSocket(NAME.test(name) ? `there is no socket "${name}"` : 'there is no such socket')
    if (hosted !== undefined && hosted !== socket) {
      throw badRequest('the host name and the path name different sockets')
    }
    const rest = rawTarget.slice(end)
    return { socket, prefix: rawTarget.slice(0, end), rawTarget: rest.startsWith('/') ? rest : `/${rest}` }
  }
}

function noSocket(what: string): StatusError {
  return new StatusError(
    failure(404, 'NotFound', `${what}; run: postern client sockets, to see which you may reach`, {
      group: 'postern.dev',
      kind: 'sockets',
    }),
  )
}

function nameEnd(rawTarget: string): number {
  for (let i = PREFIX.length; i < rawTarget.length; i += 1) {
    const byte = rawTarget.charCodeAt(i)
    if (byte === 0x2f || byte === 0x3f) return i
  }
  return rawTarget.length
}

function hostName(authority: string): string {
  const colon = authority.startsWith('[') ? authority.indexOf(':', authority.indexOf(']')) : authority.indexOf(':')
  return (colon === -1 ? authority : authority.slice(0, colon)).toLowerCase()
}
