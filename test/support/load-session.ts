import { connect } from 'node:tls'
import { BINARY, STDIN, STDOUT } from './load-answers.ts'
import type { LoadTarget } from './load-connections.ts'
import { clientFrame } from './session-bytes.ts'

const KEYSTROKE_MS = 200
const ECHO = new RegExp(`${STDOUT}(\\d+)\n`, 'g')

interface SessionReceiver {
  readonly opened: () => void
  /** A number came back; `lost` of those before it did not. */
  readonly echoed: (lost: number) => void
}

/**
 * An exec over WebSocket: types a number every {@link KEYSTROKE_MS}, which comes back. What was typed last may still be on
 * its way when a session ends, and counts neither way. The signal ends it.
 *
 * Resolves to what it said last: the message of the Status, or what became of the connection.
 */
export async function holdSession(
  { port, certificateAuthority: ca, token }: LoadTarget,
  path: string,
  { opened, echoed }: SessionReceiver,
  signal: AbortSignal,
): Promise<string> {
  const { promise: closed, resolve: close } = Promise.withResolvers<undefined>()
  const socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] })
  const leave = (): void => {
    socket.destroy()
  }
  signal.addEventListener('abort', leave)
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
      'Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n',
  )
  let timer: NodeJS.Timeout | undefined
  let typed = 0
  let expected = 0
  let text = ''
  let problem = 'closed without a word'
  const type = (): void => {
    if (socket.writable) socket.write(clientFrame(BINARY, `${STDIN}${typed++}\n`))
  }
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    if (timer === undefined && text.startsWith('HTTP/1.1 101 ')) {
      timer = setInterval(type, KEYSTROKE_MS)
      opened()
    }
    let read = 0
    for (const match of text.matchAll(ECHO)) {
      const number = Number(match[1])
      read = match.index + match[0].length
      echoed(number - expected)
      expected = number + 1
    }
    text = text.slice(read)
  })
  socket.on('error', (error: Error) => (problem = error.message))
  socket.once('close', () => {
    close(undefined)
  })
  await closed
  clearInterval(timer)
  signal.removeEventListener('abort', leave)
  return /"message":"([^"]*)"/.exec(text)?.[1] ?? `${problem}: ${text.slice(0, 60)}`
}
