import { once } from 'node:events'
import { type TLSSocket, connect } from 'node:tls'
import { pour } from './pour.ts'
import { type Exec, execTarget, wireOf } from './wire.ts'

/** Where execs are sent. */
export interface Endpoint {
  readonly port: number
  /** PEM. */
  readonly certificateAuthority: string
  /** What the path begins with. */
  readonly prefix: string
  readonly token: string
}

/** An exec behind its 101, of which nothing was sent yet. */
export interface OpenExec {
  readonly socket: TLSSocket
  /** Opens its streams, and does no more. */
  begin(): void
  /** Carries it out, to the close of both sides. Resolves to the seconds from the first byte to the outcome. */
  run(): Promise<number>
}

/** @throws Error when it is answered with anything but a 101. */
export async function openExec(endpoint: Endpoint, exec: Exec): Promise<OpenExec> {
  const { port, certificateAuthority: ca, prefix, token } = endpoint
  const socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] })
  socket.setNoDelay(true)
  await once(socket, 'secureConnect')
  const head = [
    `${exec.protocol === 'SPDY' ? 'POST' : 'GET'} ${prefix}${execTarget(exec)} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    `Authorization: Bearer ${token}`,
    'Connection: Upgrade',
    ...(exec.protocol === 'SPDY'
      ? ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v5.channel.k8s.io', 'Content-Length: 0']
      : [
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Protocol: v5.channel.k8s.io',
        ]),
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  const answer = await headOf(socket)
  if (!answer.startsWith('HTTP/1.1 101 ') || !answer.endsWith('\r\n\r\n')) throw new Error(answer)
  return {
    socket,
    begin() {
      socket.on('error', () => undefined).resume()
      socket.write(wireOf(exec).opening)
    },
    run: () => run(socket, exec),
  }
}

/** The answer's head, behind which nothing comes before the exec is carried out. */
async function headOf(socket: TLSSocket): Promise<string> {
  let answer = ''
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const add = (chunk: Buffer): void => {
    answer += chunk.toString('latin1')
    if (answer.includes('\r\n\r\n')) resolve(undefined)
  }
  socket.on('data', add).once('close', resolve)
  await promise
  socket.off('data', add).off('close', resolve).pause()
  return answer
}

async function run(socket: TLSSocket, exec: Exec): Promise<number> {
  const { opening, accepted, block, blocks, closing, ending } = wireOf(exec)
  const isInput = exec.direction === 'stdin'
  const expected = accepted.length + ending.length + (isInput ? 0 : block.length * blocks)
  let received = 0
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  socket.resume()
  const ended = once(socket, 'end')
  const beganAt = performance.now()
  socket.write(opening)
  if (isInput) {
    await pour(socket, block, blocks)
    socket.write(closing)
  }
  await ended
  const seconds = (performance.now() - beganAt) / 1000
  if (received !== expected) throw new Error(`${received} bytes came of ${expected}`)
  socket.end()
  if (!socket.closed) await once(socket, 'close')
  return seconds
}
