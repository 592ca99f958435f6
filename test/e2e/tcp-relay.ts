import { once } from 'node:events'
import { type Socket, connect, createServer } from 'node:net'
import { freePorts } from '../../sandbox/free-ports.ts'

/** A port of 127.0.0.1 that leads to another one, until it is cut. */
export interface TcpRelay extends AsyncDisposable {
  readonly port: number
  /** Breaks every connection, and refuses new ones. */
  cut(): Promise<void>
  /** Leads on as before, on the same port. */
  mend(): Promise<void>
}

export async function startTcpRelay(target: number): Promise<TcpRelay> {
  const open = new Set<Socket>()
  const track = (socket: Socket): Socket => {
    open.add(socket)
    return socket.on('error', () => undefined).once('close', () => open.delete(socket))
  }
  const server = createServer((client) => {
    const upstream = track(connect(target, '127.0.0.1'))
    track(client).pipe(upstream).pipe(client)
    client.once('close', () => upstream.destroy())
    upstream.once('close', () => client.destroy())
  })
  const [port = 0] = await freePorts(1)
  const mend = async (): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const cut = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of open) socket.destroy()
    await closed
  }
  await mend()
  return { port, cut, mend, [Symbol.asyncDispose]: cut }
}
