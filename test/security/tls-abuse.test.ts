import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING } from '../support/attacked-gateway.ts'
import { ended } from '../support/raw-exchange.ts'

// Attacks B17, I6.
//
// Handshakes that are old, odd or none. Each costs its own connection, and never the process (CVE-2026-21637).

const attacked = attackedGateway({ policy: EVERYTHING })

function handshake(options: ConnectionOptions): Promise<string> {
  const { port, certificateAuthority } = attacked.gateway
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', ca: certificateAuthority, ...options })
    socket.once('secureConnect', () => {
      resolve(socket.getProtocol() ?? '')
      socket.destroy()
    })
    socket.once('error', (error: Error & { code?: string }) => {
      resolve(error.code ?? error.message)
    })
    socket.once('close', () => {
      resolve('closed')
    })
  })
}

afterEach(async () => {
  await attacked.expectServing()
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken', async (version) => {
  expect(await handshake({ minVersion: version, maxVersion: version })).toBe(version)
})

test.each(['TLSv1', 'TLSv1.1'] as const)('%s is not', async (version) => {
  const spoken = await handshake({ minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' })
  expect(spoken).not.toMatch(/^TLS/)
})

test.each(['NULL', 'aNULL', 'RC4', '3DES', 'EXPORT', 'PSK-AES128-CBC-SHA'])('%s is not agreed to', async (ciphers) => {
  const options = { maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` } as const
  const spoken = await handshake(options).catch((error: unknown) => String(error))
  expect(spoken).not.toMatch(/^TLS/)
})

test('a name by which nobody is called gets the certificate that there is, which the client then refuses', async () => {
  expect(await handshake({ servername: 'evil.example' })).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
})

test.each([['http/1.0'], ['spdy/3.1'], ['h2c'], ['x'.repeat(255)]])(
  'the protocol %s is not agreed to',
  async (protocol) => {
    const spoken = await handshake({ ALPNProtocols: [protocol] })
    expect(spoken).not.toMatch(/^TLS/)
  },
)

describe('bytes in place of a handshake', () => {
  test.each([
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(4_096)],
    ['noise', Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 7_919) % 256))],
    ['SSL 2', Buffer.from('802e0100020015000000100100800200800300800400800500800600400700c0', 'hex')],
    ['a record of too many bytes', Buffer.concat([Buffer.from('160301ffff', 'hex'), Buffer.alloc(65_535)])],
    ['a heartbeat that asks for more', Buffer.from('1803020003014000', 'hex')],
    ['an alert', Buffer.from('15030100020100', 'hex')],
    ['a hello with a name of NULs', Buffer.from('16030100310100002d0303', 'hex')],
  ])('%s', async (_, bytes) => {
    const socket = connectTcp(attacked.gateway.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.end(bytes)
    await ended(socket)
    socket.destroy()
  })
})

test('a client does not get to negotiate anew', async () => {
  const { port, certificateAuthority } = attacked.gateway
  const socket = connect({ port, host: '127.0.0.1', ca: certificateAuthority, maxVersion: 'TLSv1.2' })
  await once(socket, 'secureConnect')
  const outcome = await new Promise<string>((resolve) => {
    const isAsked = socket.renegotiate({}, (error) => {
      resolve(error === null ? 'renegotiated' : 'refused')
    })
    if (isAsked !== true) resolve('refused')
    socket.once('close', () => {
      resolve('closed')
    })
    socket.once('error', () => {
      resolve('refused')
    })
  })
  socket.destroy()
  expect(outcome).not.toBe('renegotiated')
})
