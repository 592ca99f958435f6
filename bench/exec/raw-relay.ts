/*
 * The floor: a process that ends TLS on one side, begins it on the other and pipes both ways what it does not look at.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:tls'

const { key, cert, port, ca } = JSON.parse(process.argv[2] ?? '') as {
  key: string
  cert: string
  port: number
  ca: string
}
const server = createServer({ key, cert, noDelay: true, ALPNProtocols: ['http/1.1'] }, (client) => {
  const upstream = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] })
  upstream.setNoDelay(true)
  client.pipe(upstream).pipe(client)
  client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.send?.(server.address())
