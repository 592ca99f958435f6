import { STATUS_CODES } from 'node:http'
import type { Socket as TcpSocket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { badGateway, serviceUnavailable } from '../kube/status.ts'
import { type Upgrade, agreedSubprotocol } from '../kube/upgrade.ts'
import { refuseCredentialFailure } from './credential-failure.ts'
import type { OwnAnswer } from './respond.ts'
import type { Authorized } from './stages.ts'
import { requestToUpstream, responseToClient } from './upstream-request.ts'

/** An upgrade that the API server agreed to and the client was not yet told of. */
export interface Switched {
  readonly upgrade: Upgrade
  /** What was agreed to speak; empty for a WebSocket without one. */
  readonly subprotocol: string
  /** The API server's side, paused. The caller's to relay and destroy. It tells no `data`. */
  readonly upstream: TcpSocket
  /** Lets it flow: views that are valid only during the call. See `UpgradeAnswer`. */
  readonly read: (onChunk: (view: Buffer) => void) => void
  /** Tells the client of the 101, behind which its side of the tunnel begins. */
  accept(): void
}

/**
 * Asks the API server for the upgrade that a client asked for. Null when it does not switch: the client was then told
 * what it answered, and both connections end: nothing that the client sends after its head is ever sent on a connection
 * that was not switched (CVE-2018-1002105). The audit entry is completed then.
 *
 * @param client the client's socket, past the head.
 * @throws TypeError for a request that asks for no upgrade.
 * @throws StatusError 502, 503 or 504; the client was not answered then.
 */
export async function switchProtocols(
  authorized: Authorized,
  client: Duplex,
  timeoutMs: number,
): Promise<Switched | null> {
  const { audit, socket, upgrade } = authorized.authenticated
  if (upgrade === undefined) throw new TypeError('only an upgrade can be tunnelled')
  if (client.destroyed) throw serviceUnavailable('the client left')
  const gone = new AbortController()
  const leave = (): void => {
    gone.abort(serviceUnavailable('the client left'))
  }
  client.once('close', leave)
  const request = requestToUpstream(authorized, timeoutMs)
  const answer = await socket.upstream.upgrade(request, upgrade.protocol, gone.signal).finally(() => {
    client.off('close', leave)
  })
  const headers = responseToClient(authorized, answer.headers)
  if (answer.socket === null) {
    refuseCredentialFailure(authorized, answer.statusCode)
    if (answer.statusCode < 400) throw badGateway(`the API server answered ${answer.statusCode} to an upgrade`)
    audit.complete({ code: answer.statusCode })
    writeAnswer(client, { statusCode: answer.statusCode, headers: framed(headers, answer.body), body: answer.body })
    return null
  }
  try {
    return {
      upgrade,
      subprotocol: agreedSubprotocol(upgrade, answer),
      upstream: answer.socket,
      read: answer.read,
      accept() {
        const switching = [...headers, 'Connection', 'Upgrade', 'Upgrade', upgrade.protocol]
        client.write(renderHead(101, switching), 'latin1')
      },
    }
  } catch (error) {
    answer.socket.destroy()
    throw error
  }
}

/** How long a client that was refused may take to close its side, in milliseconds. */
const CLOSE_TIMEOUT_MS = 2_000

/** Writes an answer on a connection that was to be upgraded, and ends it. What the client still sends is thrown away. */
export function writeAnswer(client: Duplex, answer: OwnAnswer): void {
  client.write(renderHead(answer.statusCode, [...answer.headers, 'Connection', 'close']), 'latin1')
  client.end(answer.body)
  client.resume()
  const timer = setTimeout(() => {
    client.destroy()
  }, CLOSE_TIMEOUT_MS)
  timer.unref()
  client.once('close', () => {
    clearTimeout(timer)
  })
}

function framed(headers: RawHeaders, body: Buffer): RawHeaders {
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? ''
    if (name.toLowerCase() !== 'content-length') kept.push(name, headers[i + 1] ?? '')
  }
  return [...kept, 'Content-Length', String(body.length)]
}

function renderHead(statusCode: number, headers: RawHeaders): string {
  let head = `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ''}\r\n`
  for (let i = 0; i + 1 < headers.length; i += 2) head += `${headers[i] ?? ''}: ${headers[i + 1] ?? ''}\r\n`
  return head + '\r\n'
}
