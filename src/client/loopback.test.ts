import { once } from 'node:events'
import { request } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { listenOnLoopback, type LoopbackListener, type RedirectTarget } from './loopback.ts'

// Attack E19.

const listeners: LoopbackListener[] = []
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.close()
})

async function listen(target: Partial<RedirectTarget> = {}): Promise<LoopbackListener> {
  const listener = await listenOnLoopback({ host: '127.0.0.1', path: '/one-use', ports: [], ...target }, 'the-state')
  listeners.push(listener)
  return listener
}

function get(
  url: string,
  options: { host?: string; method?: string } = {},
): Promise<{ status: number; body: string; headers: Headers }> {
  return new Promise((resolve, reject) => {
    const { host, method = 'GET' } = options
    const outgoing = request(
      url,
      { method, agent: false, ...(host !== undefined && { headers: { host } }) },
      (response) => {
        const headers = new Headers(Object.entries(response.headers).map(([name, value]) => [name, String(value)]))
        text(response).then((body) => {
          resolve({ status: response.statusCode ?? 0, body, headers })
        }, reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}

const PAGE = { status: 200, title: 'Done <&>', text: 'Go back' }

test('the browser that comes back with the state gets the page, once', async () => {
  const listener = await listen()
  expect(listener.redirectURI).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/one-use$/)
  const answer = get(`${listener.redirectURI}?code=c&state=the-state`)
  const callback = await listener.callback(1_000)
  expect(callback.url.searchParams.get('code')).toBe('c')
  expect((await get(`${listener.redirectURI}?code=d&state=the-state`)).status).toBe(404)
  await callback.answer(PAGE)

  const { status, body, headers } = await answer
  expect(status).toBe(200)
  expect(body).toContain('Done &#60;&#38;&#62;')
  expect(headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/=]+'; frame-ancestors 'none'$/,
  )
  expect(headers.get('cache-control')).toBe('no-store')
})

test.for([
  ['another state', '?code=c&state=guess', {}, 400],
  ['no state', '?code=c', {}, 400],
  ['an empty query', '', {}, 400],
  ['another path', '/x?code=c&state=the-state', {}, 404],
  ['another host name', '?code=c&state=the-state', { host: 'rebound.example.com' }, 404],
  ['another method', '?code=c&state=the-state', { method: 'POST' }, 404],
] as const)('a request with %s is refused, and the wait goes on', async ([, suffix, options, status]) => {
  const listener = await listen()
  const waiting = listener.callback(1_000)
  expect((await get(`${listener.redirectURI}${suffix}`, options)).status).toBe(status)
  const answer = get(`${listener.redirectURI}?state=the-state`)
  await (await waiting).answer(PAGE)
  expect((await answer).status).toBe(200)
})

test.for([
  ['a path that names another host', 'GET //HOST/one-use?code=c&state=the-state', 'HOST'],
  ['a path that names us as another host', 'GET //OURS/one-use?code=c&state=the-state', 'OURS'],
  ['a path that names another host by backslashes', 'GET /\\\\HOST/one-use?code=c&state=the-state', 'HOST'],
  ['a whole URL of another host', 'GET http://HOST/one-use?code=c&state=the-state', 'HOST'],
  ['a whole URL of ours', 'GET http://OURS/one-use?code=c&state=the-state', 'OURS'],
  ['a path of dots', 'GET /x/../one-use?code=c&state=the-state', 'OURS'],
  ['a path with an escape', 'GET /one%2duse?code=c&state=the-state', 'OURS'],
  ['an asterisk', 'OPTIONS *', 'OURS'],
  ['another port of ours', 'GET /one-use?code=c&state=the-state', '127.0.0.1:1'],
  ['no port of ours', 'GET /one-use?code=c&state=the-state', '127.0.0.1'],
  ['another of our names', 'GET /one-use?code=c&state=the-state', 'localhost:PORT'],
] as const)('a request line with %s is refused, and the wait goes on', async ([, line, host]) => {
  const listener = await listen()
  const { port } = new URL(listener.redirectURI)
  const fill = (part: string): string =>
    part.replace('HOST', 'evil.example:PORT').replace('OURS', '127.0.0.1:PORT').replace('PORT', port)
  const waiting = listener.callback(1_000)
  const socket = connect(Number(port), '127.0.0.1')
  socket.end(`${fill(line)} HTTP/1.1\r\nHost: ${fill(host)}\r\nConnection: close\r\n\r\n`)
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 40[04] /)
  const answer = get(`${listener.redirectURI}?state=the-state`)
  const callback = await waiting
  expect(callback.url.href).toBe(`${listener.redirectURI}?state=the-state`)
  await callback.answer(PAGE)
  expect((await answer).status).toBe(200)
})

test('nobody coming back ends the wait with a name', async () => {
  const listener = await listen()
  await expect(listener.callback(1)).rejects.toThrow(expect.objectContaining({ code: 'LoginTimedOut' }))
})

test('the port is free again after closing', async () => {
  const listener = await listen()
  listener.close()
  await expect(get(listener.redirectURI)).rejects.toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }))
})

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
)

test.skipIf(!hasIPv6)('::1 is an address of its own', async () => {
  const listener = await listen({ host: '::1' })
  expect(listener.redirectURI).toMatch(/^http:\/\/\[::1\]:\d+\/one-use$/)
  expect((await get(listener.redirectURI)).status).toBe(400)
  await expect(get(listener.redirectURI.replace('[::1]', '127.0.0.1'))).rejects.toThrow()
})

test.skipIf(!hasIPv6)('localhost is both addresses at one port, and nobody else can have either', async () => {
  const listener = await listen({ host: 'localhost' })
  const { port } = new URL(listener.redirectURI)
  expect(listener.redirectURI).toBe(`http://localhost:${port}/one-use`)
  for (const address of ['127.0.0.1', '[::1]'])
    expect((await get(`http://${address}:${port}/one-use`, { host: `localhost:${port}` })).status).toBe(400)
  listener.close()
  await expect(get(`http://[::1]:${port}/one-use`)).rejects.toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }))
})

describe('of ports that are named', () => {
  async function occupy(address: string, port = 0): Promise<{ readonly port: number; close(): void }> {
    const server = createServer().listen(port, address)
    await once(server, 'listening')
    return { port: (server.address() as AddressInfo).port, close: () => server.close() }
  }

  test('the first free one is taken', async () => {
    const [taken, free] = [await occupy('127.0.0.1'), await occupy('127.0.0.1')]
    free.close()
    const listener = await listen({ ports: [taken.port, free.port] })
    expect(listener.redirectURI).toBe(`http://127.0.0.1:${free.port}/one-use`)
    taken.close()
  })

  test('none is taken when all are in use, and the error names them', async () => {
    const taken = await occupy('127.0.0.1')
    await expect(listen({ ports: [taken.port] })).rejects.toThrow(
      expect.objectContaining({
        code: 'PortBlocked',
        message: `none of the ports ${taken.port} of 127.0.0.1 can be listened on (EADDRINUSE), which are all that the identity provider knows; free one of them and sign in again`,
      }),
    )
    taken.close()
  })

  test.skipIf(!hasIPv6)('one is not taken for localhost when somebody has it at the other address', async () => {
    const taken = await occupy('::1')
    await expect(listen({ host: 'localhost', ports: [taken.port] })).rejects.toThrow(
      expect.objectContaining({ code: 'PortBlocked' }),
    )
    const again = await occupy('127.0.0.1', taken.port)
    again.close()
    taken.close()
  })
})
