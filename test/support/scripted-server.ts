import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type TlsOptions, type TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import type { CertificateAndKey } from '../../sandbox/certificates.ts'

/** A TLS server that plays one part of a test, byte by byte; it ends with the test. */
export interface ScriptedServer {
  readonly url: string
  readonly port: number
  /** Connections accepted so far. */
  readonly accepted: number
  /** Of these, the ones that are open. */
  readonly open: ReadonlySet<TLSSocket>
  /** Breaks every connection with a TCP reset. */
  reset(): void
  close(): Promise<void>
}

/** Starts a server on a free port, or the given one, of 127.0.0.1. `nth` counts connections from 1. */
export async function startScriptedServer(
  certificate: CertificateAndKey,
  script: (socket: TLSSocket, nth: number) => void,
  options: TlsOptions & { readonly port?: number } = {},
): Promise<ScriptedServer> {
  const open = new Set<TLSSocket>()
  const underneath = new Set<Socket>()
  let accepted = 0
  const server = createServer({ ...certificate, ALPNProtocols: ['http/1.1'], ...options }, (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    // The other side is meant to break off now and then.
    socket.on('error', () => socket.destroy())
    script(socket, ++accepted)
  })
  server.on('tlsClientError', () => undefined)
  server.on('connection', (socket: Socket) => {
    underneath.add(socket)
    socket.once('close', () => underneath.delete(socket))
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    if (!server.listening) return
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  onTestFinished(close)
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    get accepted() {
      return accepted
    },
    open,
    reset() {
      for (const socket of underneath) socket.resetAndDestroy()
    },
    close,
  }
}

/** Calls back with the head of each request on a connection, `nth` counting from 1. Bodies are not understood. */
export function onRequestHead(socket: TLSSocket, listener: (head: string, nth: number) => void): void {
  let text = ''
  let nth = 0
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
      const head = text.slice(0, end + 2)
      text = text.slice(end + 4)
      listener(head, ++nth)
    }
  })
}
