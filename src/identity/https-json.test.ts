import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { fetchJson, type FetchedJson, MAX_ANSWER_BYTES } from './https-json.ts'

const authority = createCertificateAuthority()
const answers = new Map<string, (response: ServerResponse, request: IncomingMessage) => void>()
const seen: string[] = []
let server: Server
let origin: string

beforeAll(async () => {
  server = createServer(authority.issueServer(), (request, response) => {
    seen.push(request.url ?? '')
    answers.get(request.url ?? '')?.(response, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.close()
  await once(server, 'close')
})

function fetchFrom(
  path: string,
  answer: (response: ServerResponse, request: IncomingMessage) => void,
): Promise<FetchedJson> {
  answers.set(path, answer)
  const { signal } = new AbortController()
  return fetchJson(new URL(path, origin), { certificateAuthority: authority.certificate, signal })
}

test.for([
  [undefined, undefined],
  ['public, max-age=300', 300],
  ['max-age="60", must-revalidate', 60],
  ['s-maxage=9', undefined],
  ['no-store', 0],
  ['no-cache, max-age=300', 0],
  ['max-age=soon', undefined],
] as const)('a document with Cache-Control %s may be kept for %s seconds', async ([cacheControl, maxAgeSeconds]) => {
  const answer = await fetchFrom('/json', (response) => {
    if (cacheControl !== undefined) response.setHeader('cache-control', cacheControl)
    response.end('{"a":["é"]}')
  })
  expect(answer).toEqual({ value: { a: ['é'] }, maxAgeSeconds })
})

test('a redirect is not followed, not even to the same place', async () => {
  const redirected = fetchFrom('/redirect', (response) =>
    response.writeHead(302, { location: `${origin}/elsewhere` }).end(),
  )
  await expect(redirected).rejects.toThrow(
    `cannot read ${origin}/redirect: it redirects elsewhere, which is not followed`,
  )
  expect(seen).not.toContain('/elsewhere')
})

test.for<[string, (response: ServerResponse) => void, string]>([
  ['an error page', (response) => response.writeHead(503).end('{}'), 'it answers 503'],
  ['a partial answer', (response) => response.writeHead(206).end('{}'), 'it answers 206'],
  ['a page', (response) => response.end('<html>'), 'its answer is not JSON'],
  ['nothing', (response) => response.end(), 'its answer is not JSON'],
  ['bytes that are not UTF-8', (response) => response.end(Buffer.from([0x22, 0xff, 0x22])), 'its answer is not JSON'],
  [
    'a compressed answer',
    (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')),
    'its answer is compressed',
  ],
  ['an answer without end', endless, `its answer is longer than ${MAX_ANSWER_BYTES} bytes`],
  [
    'an answer that breaks off',
    (response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{')
      setImmediate(() => response.destroy())
    },
    'aborted',
  ],
])('%s is refused', async ([what, answer, problem]) => {
  await expect(fetchFrom(`/${encodeURIComponent(what)}`, answer)).rejects.toThrow(problem)
})

test('a server that nobody vouches for is not believed', async () => {
  const { signal } = new AbortController()
  const other = createCertificateAuthority().certificate
  await expect(fetchJson(new URL('/json', origin), { certificateAuthority: other, signal })).rejects.toThrow(
    'certificate',
  )
  await expect(fetchJson(new URL('/json', origin), { signal })).rejects.toThrow('certificate')
})

test('a port where nobody listens says so', async () => {
  const closed = createTcpServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const { signal } = new AbortController()
  await expect(fetchJson(new URL(`https://127.0.0.1:${port}/`), { signal })).rejects.toThrow('ECONNREFUSED')
})

test('the caller can give up, and the connection is gone', async () => {
  const giveUp = new AbortController()
  const { promise: gone, resolve } = Promise.withResolvers<boolean>()
  answers.set('/slow', (_response, request) => {
    request.socket.once('close', () => {
      resolve(true)
    })
    giveUp.abort(new Error('the connector stops'))
  })
  const options = { certificateAuthority: authority.certificate, signal: giveUp.signal }
  await expect(fetchJson(new URL('/slow', origin), options)).rejects.toThrow(`cannot read ${origin}/slow`)
  expect(await gone).toBe(true)
})

function endless(response: ServerResponse): void {
  response.on('error', () => undefined)
  const more = (): void => {
    while (!response.destroyed && response.write(' '.repeat(65_536)));
    if (!response.destroyed) response.once('drain', more)
  }
  more()
}
