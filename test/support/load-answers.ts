import { setTimeout as wait } from 'node:timers/promises'
import { text } from 'node:stream/consumers'
import type { StagedApiServer } from './staged-api-server.ts'
import { frame } from './session-bytes.ts'

/*
 * What a load asks of a staged API server, and what that answers.
 */

/** A plain request. */
export const LISTED = '{"items":[]}'
/** Resource of the objects that are created. */
export const CREATED = 'configmaps'
/** Part of the path of a request whose answer takes {@link SLOW_MS}. */
export const SLOW = 'labelSelector=slow'
export const SLOW_MS = 1_500
/** How often a watch is told something: a line that holds how many there were before. */
const EVENT_MS = 500
/** Binary frames, and the channels of stdin and stdout in v5.channel.k8s.io. */
export const BINARY = 2
export const STDIN = '\x00'
export const STDOUT = '\x01'
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n'

/** The API server's side of a load. */
export interface LoadAnswers {
  /** How often each object was created, by name. */
  readonly created: ReadonlyMap<string, number>
  stop(): void
}

/** The line that a watch is told, after so many others. */
function watchEvent(index: number): string {
  return `{"type":"BOOKMARK","index":${index}}\n`
}

/** The body of a POST, and of its answer. */
export function objectNamed(name: string): string {
  return `{"metadata":{"name":"${name}"}}`
}

/** Makes a staged API server answer as a load expects: lists, creates, watches that tell something, and sessions that echo. */
export function answerLoad(apiServer: StagedApiServer): LoadAnswers {
  const created = new Map<string, number>()
  const timers = new Set<NodeJS.Timeout>()
  apiServer.onRequest = (request, response) => {
    const { url = '', method } = request
    response.setHeader('Content-Type', 'application/json')
    if (method === 'POST' && url.includes(CREATED)) {
      void text(request).then(
        (body) => {
          const name = /"name":"([^"]*)"/.exec(body)?.[1] ?? ''
          created.set(name, (created.get(name) ?? 0) + 1)
          response.writeHead(201).end(body)
        },
        () => undefined,
      )
      return
    }
    request.resume()
    if (url.includes('watch=')) {
      let index = 0
      const tell = (): void => {
        response.write(watchEvent(index++))
      }
      const timer = setInterval(tell, EVENT_MS)
      timers.add(timer)
      response.once('close', () => {
        clearInterval(timer)
        timers.delete(timer)
      })
      tell()
    } else if (url.includes(SLOW)) void wait(SLOW_MS, null, { ref: false }).then(() => response.end(LISTED))
    else response.end(LISTED)
  }
  apiServer.onUpgrade = (_request, socket) => {
    socket.write(SWITCHED)
    // Frames of this load are small and come one at a time.
    socket.on('data', (bytes: Buffer) => {
      for (const typed of unmasked(bytes)) socket.write(frame(BINARY, `${STDOUT}${typed.slice(1)}`))
    })
  }
  return {
    created,
    stop() {
      for (const timer of timers) clearInterval(timer)
    },
  }
}

/** Payloads of small masked frames. */
function* unmasked(bytes: Buffer): Generator<string> {
  for (let at = 0; at + 6 <= bytes.length;) {
    const length = (bytes[at + 1] ?? 0) & 0x7f
    const key = bytes.subarray(at + 2, at + 6)
    const payload = bytes.subarray(at + 6, at + 6 + length).map((byte, index) => byte ^ (key[index % 4] ?? 0))
    if (((bytes[at] ?? 0) & 0x0f) === BINARY) yield Buffer.from(payload).toString('latin1')
    at += 6 + length
  }
}
