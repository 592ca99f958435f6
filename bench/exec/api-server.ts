/*
 * Stands in for an API server, in a process of its own: it answers each exec with a 101, and what the exec's command
 * asks for in ready-made frames. It reads nothing but lengths.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { pour } from './pour.ts'
import { type Exec, parseExec, wireOf } from './wire.ts'

/** RFC 6455, 1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const { key, cert } = JSON.parse(process.argv[2] ?? '') as { key: string; cert: string }
const server = createServer({ key, cert, noDelay: true }, (_request, response) => response.end('ok'))
server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
  socket.on('error', () => socket.destroy())
  const exec = parseExec(request.url ?? '')
  const answer = [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    ...(exec.protocol === 'SPDY'
      ? ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v5.channel.k8s.io']
      : [
          'Upgrade: websocket',
          `Sec-WebSocket-Accept: ${acceptKey(request.headers['sec-websocket-key'] ?? '')}`,
          'Sec-WebSocket-Protocol: v5.channel.k8s.io',
        ]),
  ]
  socket.write(`${answer.join('\r\n')}\r\n\r\n`)
  void serve(exec, socket).catch(() => socket.destroy())
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.send?.(server.address())

async function serve(exec: Exec, socket: Duplex): Promise<void> {
  const { opening, accepted, block, blocks, closing, ending } = wireOf(exec)
  await received(socket, opening.length)
  socket.write(accepted)
  if (exec.direction === 'idle') {
    socket.resume()
    socket.on('end', () => socket.end())
    return
  }
  if (exec.direction === 'stdin') await received(socket, block.length * blocks + closing.length)
  else await pour(socket, block, blocks)
  socket.end(ending)
  socket.resume()
}

/** Resolves when so many bytes more came; none may follow before the next call. */
async function received(socket: Duplex, byteLength: number): Promise<void> {
  let missing = byteLength
  if (missing === 0) return
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  const count = (chunk: Buffer): void => {
    missing -= chunk.length
    if (missing > 0) return
    socket.off('data', count)
    socket.pause()
    if (missing < 0) reject(new Error('more bytes came than were to'))
    else resolve(undefined)
  }
  socket.on('data', count).resume()
  socket.once('close', () => {
    reject(new Error('it closed early'))
  })
  await promise
}

function acceptKey(nonce: string): string {
  return createHash('sha1').update(`${nonce}${WEBSOCKET_GUID}`).digest('base64')
}
