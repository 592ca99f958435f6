import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { badGateway, serviceUnavailable } from '../kube/status.ts'
import { agreedSubprotocol } from '../kube/upgrade.ts'
import { refuseCredentialFailure } from './credential-failure.ts'
import type { LiveStream, LiveStreams } from './live-streams.ts'
import type { OwnAnswer } from './respond.ts'
import type { Authorized } from './stages.ts'
import { requestToUpstream, responseToClient } from './upstream-request.ts'

/**
 * Joins a client to its upstream after the upgrade that it asked for, and relays raw bytes both ways until
 * either side ends. The audit entry is completed here.
 *
 * An upstream that does not switch is told to the client as it answered, and both connections end: nothing
 * that the client sends after its head is ever sent on a connection that was not switched (CVE-2018-1002105).
 *
 * @param client the client's socket, past the head; owned by the tunnel from here on.
 * @throws TypeError for a request that asks for no upgrade.
 * @throws StatusError 502, 503 or 504; the client was not answered then.
 */
export async function tunnel(
  authorized: Authorized,
  client: Duplex,
  streams: LiveStreams,
  timeoutMs: number,
): Promise<void> {
  const { audit, socket, upgrade } = authorized.authenticated
  refuseUnkept(authorized)
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
    return
  }
  try {
    agreedSubprotocol(upgrade, answer)
  } catch (error) {
    answer.socket.destroy()
    throw error
  }
  const session = randomUUID()
  audit.opened(session)
  audit.started(101)
  client.write(renderHead(101, [...headers, 'Connection', 'Upgrade', 'Upgrade', upgrade.protocol]), 'latin1')
  join(authorized, client, answer.socket, answer.head, streams)
}

/** An obligation that cannot be kept is a refusal: whoever wrote it relies on it. */
function refuseUnkept({ obligations }: Authorized): void {
  if (obligations.record === 'required')
    throw serviceUnavailable('this session must be recorded, and nothing records it')
  if (obligations.idleTimeoutMs !== undefined) throw serviceUnavailable('nothing watches whether this session is idle')
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

/** The longest time that a timer of Node's can wait, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

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

function join(authorized: Authorized, client: Duplex, upstream: Duplex, head: Buffer, streams: LiveStreams): void {
  const { obligations, authenticated } = authorized
  const { audit } = authenticated
  const stream: LiveStream = {
    authorized,
    kind: 'session',
    end() {
      client.destroy()
      upstream.destroy()
    },
  }
  const forget = streams.add(stream)
  const { maxDurationMs } = obligations
  const timer =
    maxDurationMs === undefined
      ? undefined
      : setTimeout(
          () => {
            stream.end()
          },
          Math.min(maxDurationMs, LONGEST_TIMER_MS),
        ).unref()
  let open = 2
  const closed = (other: Duplex) => () => {
    open -= 1
    if (open > 0) other.destroy()
    else {
      forget()
      clearTimeout(timer)
      audit.complete({ code: 101 })
    }
  }
  client.once('close', closed(upstream))
  upstream.once('close', closed(client))
  client.on('error', () => {
    upstream.destroy()
  })
  upstream.on('error', () => {
    client.destroy()
  })
  if (head.length > 0) client.write(head)
  upstream.pipe(client)
  client.pipe(upstream)
}
