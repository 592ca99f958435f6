import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { type TLSSocket, connect } from 'node:tls'
import type { StagedSurroundings } from './staged-gateway.ts'

const EXEC = '/sockets/production/api/v1/namespaces/default/pods/POD/exec?command=sh&stdin=true&stdout=true&tty=true'
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n'

/** One exec over a WebSocket, through a connector of its own process. */
export interface RawSession {
  readonly client: TLSSocket
  /** The API server's side; undefined for a session that did not open. */
  readonly upstream: Duplex | undefined
  /** All that the client got, head included. */
  readonly received: () => string
  readonly closed: Promise<void>
}

/** Opens an exec in a pod, by whose name both sides are found. The caller destroys the client. */
export async function execIn(pod: string, surroundings: StagedSurroundings): Promise<RawSession> {
  const { apiServer, port, certificateAuthority, token } = surroundings
  const { onUpgrade } = apiServer
  let upstream: Duplex | undefined
  apiServer.onUpgrade = (request, socket, head) => {
    if (request.url?.includes(`/pods/${pod}/`) !== true) {
      onUpgrade(request, socket, head)
      return
    }
    upstream = socket
    socket.resume()
    socket.write(SWITCHED, 'latin1')
  }
  const client = connect({ host: '127.0.0.1', port, ca: certificateAuthority, ALPNProtocols: ['http/1.1'] })
  client.on('error', () => undefined)
  let received = ''
  client.setEncoding('latin1').on('data', (text: string) => (received += text))
  const closed = new Promise<void>((resolve) => {
    client.once('close', () => {
      resolve()
    })
  })
  await once(client, 'secureConnect')
  const lines = [
    `GET ${EXEC.replace('POD', pod)} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: v5.channel.k8s.io',
  ]
  client.write(`${lines.join('\r\n')}\r\n\r\n`)
  while (!received.includes('\r\n\r\n')) await Promise.race([once(client, 'data'), closed])
  return {
    client,
    get upstream() {
      return upstream
    },
    received: () => received,
    closed,
  }
}
