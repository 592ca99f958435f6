import { once } from 'node:events'
import { createServer as createProxy, type Server as ProxyServer } from 'node:http'
import { createServer, type Server } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { createHttpsFetch } from '../../src/client/https-fetch.ts'
import { createCertificateAuthority, type CertificateAndKey } from '../../sandbox/certificates.ts'

const authority = createCertificateAuthority()
const fetch = createHttpsFetch(authority.certificate)
const servers: (Server | ProxyServer)[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
})

async function serve(identity: CertificateAndKey = authority.issueServer(), body = '{}'): Promise<number> {
  const server = createServer(identity, (request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/' }).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  })
  return listen(server)
}

async function listen(server: Server | ProxyServer): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('an authority that is given is trusted, and no other', async () => {
  const port = await serve()
  expect(await (await fetch(`https://127.0.0.1:${port}/`)).text()).toBe('{}')
  const other = createHttpsFetch(createCertificateAuthority('another').certificate)
  for (const stranger of [other, createHttpsFetch('')])
    await expect(stranger(`https://127.0.0.1:${port}/`)).rejects.toThrow(expect.objectContaining({ code: 'Untrusted' }))
})

test.for([
  ['has ended', { expired: true }, 'CERT_HAS_EXPIRED'],
  ['is for another host', { hosts: ['portal.test'] }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
] as const)('a certificate that %s is refused by name', async ([, request, code]) => {
  const port = await serve(authority.issueServer(request))
  await expect(fetch(`https://127.0.0.1:${port}/`)).rejects.toThrow(code)
})

test('nobody there is told with the address', async () => {
  await expect(fetch('https://127.0.0.1:1/')).rejects.toThrow('https://127.0.0.1:1 cannot be reached (ECONNREFUSED)')
})

test('without TLS nothing is sent', async () => {
  await expect(fetch('http://127.0.0.1:1/')).rejects.toThrow('is not https')
})

test('a redirect is an answer, and not followed', async () => {
  const port = await serve()
  const response = await fetch(`https://127.0.0.1:${port}/moved`)
  expect([response.status, response.headers.get('location')]).toEqual([302, '/'])
})

test('an answer without end is cut off', async () => {
  const port = await serve(undefined, 'x'.repeat(1024 * 1024 + 1))
  await expect(fetch(`https://127.0.0.1:${port}/`)).rejects.toThrow(expect.objectContaining({ code: 'Unexpected' }))
})

test('a caller that gives up gets an error at once', async () => {
  const port = await serve()
  await expect(fetch(`https://127.0.0.1:${port}/`, { signal: AbortSignal.abort() })).rejects.toThrow(
    'no answer in time',
  )
})

test('HTTPS_PROXY is used for other machines, and never for this one', async () => {
  const port = await serve(authority.issueServer({ hosts: ['portal.test', '127.0.0.1'] }))
  const asked: string[] = []
  const proxy = createProxy().on('connect', (request, socket: Socket) => {
    asked.push(request.url ?? '')
    const through = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    through.pipe(socket).pipe(through)
    through.on('close', () => socket.destroy()).on('error', () => undefined)
    socket.on('close', () => through.destroy()).on('error', () => undefined)
  })
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${await listen(proxy)}`)
  expect((await fetch('https://portal.test/')).status).toBe(200)
  expect((await fetch(`https://127.0.0.1:${port}/`)).status).toBe(200)
  expect(asked).toEqual(['portal.test:443'])
})
