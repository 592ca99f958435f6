import { expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, FORBIDDEN, NAMESPACE, UNAUTHORIZED } from '../support/attacked-gateway.ts'

// Attack D11.
//
// Any page may open a WebSocket to anywhere in a visitor's name (CVE-2026-44985, CVE-2026-44514, CVE-2026-42283). A
// browser says whose page it is; kubectl says nothing.

const attacked = attackedGateway({ policy: EVERYTHING })

const EXEC = `${NAMESPACE}/pods/web/exec?command=id`
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
]

test.each([
  'https://evil.example',
  'null',
  '',
  'https://localhost',
  'http://127.0.0.1:1',
  'https://127.0.0.1.evil.example',
  'file://',
  'chrome-extension://abc',
])('a page of %j opens nothing', async (origin) => {
  const answer = await attacked.writeOnce(attacked.head('GET', EXEC, [...WEBSOCKET, `Origin: ${origin}`]))
  await attacked.expectRefused(answer, FORBIDDEN)
})

test.each([
  ['http for https', (port: number) => `http://127.0.0.1:${port}`],
  ['another port', (port: number) => `https://127.0.0.1:${port + 1}`],
  ['a path', (port: number) => `https://127.0.0.1:${port}/`],
  ['another beside it', (port: number) => `https://127.0.0.1:${port} https://evil.example`],
])('nor does one of our own origin with %s', async (_, origin) => {
  const line = `Origin: ${origin(attacked.gateway.port)}`
  const answer = await attacked.writeOnce(attacked.head('GET', EXEC, [...WEBSOCKET, line]))
  await attacked.expectRefused(answer, FORBIDDEN)
})

test('a second Origin does not hide the first', async () => {
  const own = `Origin: https://127.0.0.1:${attacked.gateway.port}`
  const answer = await attacked.writeOnce(
    attacked.head('GET', EXEC, [...WEBSOCKET, 'Origin: https://evil.example', own]),
  )
  await attacked.expectRefused(answer, FORBIDDEN)
})

test('SPDY is no way round it', async () => {
  const lines = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
  const answer = await attacked.writeOnce(attacked.head('POST', EXEC, [...lines, 'Origin: https://evil.example']))
  await attacked.expectRefused(answer, FORBIDDEN)
})

test.each([
  ['no Origin', () => []],
  ['our own', () => [`Origin: https://127.0.0.1:${attacked.gateway.port}`]],
])('%s passes, and is not sent on', async (_, lines) => {
  const answer = await attacked.writeOnce(attacked.head('GET', EXEC, [...WEBSOCKET, ...lines()]))
  expect(answer.statusCode).toBe(400)
  expect(attacked.seen).toHaveLength(1)
  expect(attacked.seen[0]?.rawHeaders.join().toLowerCase()).not.toContain('origin')
})

test('pages may read no answer', async () => {
  const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, ['Origin: https://evil.example']))
  expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
})

// With a name that leads here (DNS rebinding) a page is of our own origin to its browser, which then shows it no more
// than a certificate for another name and, past that, a door for which it holds no key: nothing here is signed in by a
// cookie, a client certificate or an address.
test('a page that has made its own name lead here holds no credential', async () => {
  const target = `${NAMESPACE}/secrets`
  const lines = [
    'Host: evil.example',
    'Origin: https://evil.example',
    `Cookie: token=${attacked.gateway.token}`,
    'Sec-Fetch-Site: same-origin',
  ]
  const get = `GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
  await attacked.expectRefused(await attacked.writeForOne(get), UNAUTHORIZED)
})
