import { describe, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE } from '../support/attacked-gateway.ts'

// Attack C17.
//
// HTTP/1.0 has no chunks, no upgrade and no Host that it must name, so that a proxy and a server each guess; a parser
// that reads versions that nobody speaks may leave the request without an answer.

const attacked = attackedGateway({ policy: EVERYTHING })

const PODS = `${NAMESPACE}/pods`

function request(version: string, lines: readonly string[] = [], body = ''): string {
  const credential = `Authorization: Bearer ${attacked.gateway.token}`
  const method = body === '' ? 'GET' : 'POST'
  return `${[`${method} ${PODS} ${version}`, 'Host: localhost', credential, ...lines].join('\r\n')}\r\n\r\n${body}`
}

test.each([
  'HTTP/1.0',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.2',
  'HTTP/3.0',
  'HTTP/1',
  'http/1.1',
  'HTTP/1.1x',
  'HTTPS/1.1',
  'ICE/1.0',
  'RTSP/1.0',
])('%s is refused', async (version) => {
  const answer = await attacked.writeForOne(request(version))
  await attacked.expectRefused(answer, BAD_REQUEST)
})

describe('HTTP/1.0', () => {
  test.each([
    ['with chunks', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
    ['with a length', ['Content-Length: 5'], 'hello'],
    ['that keeps the connection', ['Connection: keep-alive', 'Content-Length: 5'], 'hello'],
  ])('%s is refused', async (_, lines, body) => {
    await attacked.expectRefused(await attacked.writeForOne(request('HTTP/1.0', lines, body)), BAD_REQUEST)
  })

  test('cannot upgrade', async () => {
    const lines = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
    const head = request('HTTP/1.0', lines).replace(PODS, `${PODS}/web/exec?command=id`)
    await attacked.expectRefused(await attacked.writeOnce(head), BAD_REQUEST)
  })
})

test.each([
  ['a tab for a space', (head: string) => head.replace('GET ', 'GET\t')],
  ['no version', (head: string) => head.replace(' HTTP/1.1', '')],
  ['a space behind the version', (head: string) => head.replace(' HTTP/1.1', ' HTTP/1.1 ')],
  ['a space before the method', (head: string) => ` ${head}`],
  ['CR alone at its end', (head: string) => head.replace('\r\n', '\r')],
  ['HTTP/2 in clear text', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['TLS in TLS', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['SSH', () => 'SSH-2.0-OpenSSH_9.9\r\n'],
])('a request line with %s is refused', async (_, change) => {
  const answer = await attacked.writeOnce(change(attacked.head('GET', PODS)))
  await attacked.expectRefused(answer, BAD_REQUEST)
})

test('a request without a Host is refused', async () => {
  const { token } = attacked.gateway
  const answer = await attacked.writeForOne(`GET ${PODS} HTTP/1.1\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  await attacked.expectRefused(answer, BAD_REQUEST)
})

test.each(['x', '100-continue, x', '200-ok', ''])('an Expect of %j is refused', async (expectation) => {
  const answer = await attacked.writeForOne(attacked.head('GET', PODS, [`Expect: ${expectation}`]))
  await attacked.expectRefused(answer, BAD_REQUEST)
})
