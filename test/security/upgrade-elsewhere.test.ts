import { describe, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  FORBIDDEN,
  NAMESPACE,
  NOT_FOUND,
  type Refusal,
  SOCKET,
  UNAUTHORIZED,
} from '../support/attacked-gateway.ts'

// Attacks D2, D3, D5.
//
// A second door whose guard checks less: an upgrade where nothing is upgraded, to what nobody speaks, without a
// credential, or beside the policy (the class of GHSA-c4j6-fc7j-m34r).

const attacked = attackedGateway({
  policy: EVERYTHING.replace('resources: ["*", "*/*"]', 'resources: ["*", "*/*"], namespaces: [default]').replace(
    '- { verbs: ["*"], nonResourceURLs: ["*"] }',
    '- { verbs: ["*"], resources: [nodes] }',
  ),
})

const EXEC = `${NAMESPACE}/pods/web/exec?command=id`
const HANDSHAKE = [
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
]
const SPDY = ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
const WEBSOCKET = ['Upgrade: websocket', ...HANDSHAKE]

async function refused(method: string, target: string, lines: readonly string[], refusal: Refusal): Promise<void> {
  const answer = await attacked.writeOnce(attacked.head(method, target, ['Connection: Upgrade', ...lines]))
  await attacked.expectRefused(answer, refusal)
}

describe('refused is an upgrade to', () => {
  test.each([
    ['h2c', ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA']],
    ['h2c beside a WebSocket', ['Upgrade: h2c, websocket', ...HANDSHAKE]],
    ['a WebSocket and SPDY', ['Upgrade: websocket, SPDY/3.1', ...HANDSHAKE]],
    ['a WebSocket on one line and h2c on another', ['Upgrade: websocket', 'Upgrade: h2c', ...HANDSHAKE]],
    ['SPDY of another version', ['Upgrade: SPDY/3']],
    ['TLS', ['Upgrade: TLS/1.3']],
    ['anything', ['Upgrade: anything']],
    ['a WebSocket in quotes', ['Upgrade: "websocket"', ...HANDSHAKE]],
  ])('%s', async (_, lines) => {
    await refused('GET', EXEC, lines, BAD_REQUEST)
  })
})

describe('refused is a WebSocket', () => {
  test.each([
    ['on a get', 'GET', `${NAMESPACE}/pods/web`],
    ['on a list', 'GET', `${NAMESPACE}/pods`],
    ['on a create', 'POST', `${NAMESPACE}/pods`],
    ['on a delete', 'DELETE', `${NAMESPACE}/pods/web`],
    ['on exec by POST', 'POST', EXEC],
    ['on a log of something else', 'GET', `${NAMESPACE}/services/web/log`],
    ['on exec of something else', 'GET', `${SOCKET}/apis/evil.example.com/v1/namespaces/default/pods/web/exec`],
    ['on exec of no pod', 'GET', `${NAMESPACE}/pods//exec`],
    ['on a path that escapes', 'GET', `${NAMESPACE}/pods/web/log/../exec`],
    ['by HEAD', 'HEAD', EXEC],
  ])('%s', async (_, method, target) => {
    await refused(method, target, WEBSOCKET, BAD_REQUEST)
  })
})

describe('refused is SPDY', () => {
  test.each([
    ['on a log', 'GET', `${NAMESPACE}/pods/web/log`],
    ['on a watch', 'GET', `${NAMESPACE}/pods?watch=1`],
    ['on a proxy', 'POST', `${NAMESPACE}/pods/web/proxy/`],
    ['by PUT', 'PUT', EXEC],
  ])('%s', async (_, method, target) => {
    await refused(method, target, SPDY, BAD_REQUEST)
  })
})

describe('the same as of any request is asked of an upgrade:', () => {
  test('a socket', async () => {
    await refused('POST', '/sockets/staging/api/v1/namespaces/default/pods/web/exec', SPDY, NOT_FOUND)
  })

  test('a right', async () => {
    await refused('POST', `${SOCKET}/api/v1/namespaces/other/pods/web/exec?command=id`, SPDY, FORBIDDEN)
  })

  test('a credential', async () => {
    const lines = ['Host: localhost', 'Connection: Upgrade', ...SPDY]
    const answer = await attacked.writeOnce(`POST ${EXEC} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    await attacked.expectRefused(answer, UNAUTHORIZED)
  })

  test('sound headers', async () => {
    await refused('POST', EXEC, [...SPDY, 'X_Y: z'], BAD_REQUEST)
    await refused('POST', EXEC, [...SPDY, ...Array.from({ length: 100 }, (_, i) => `X-${i}: y`)], BAD_REQUEST)
    await refused('POST', EXEC, [...SPDY, 'Host: other'], BAD_REQUEST)
  })
})

describe('what is sent with an upgrade', () => {
  test.each([
    ['a body', ['Content-Length: 5'], 'hello'],
    ['a body to come', ['Content-Length: 5'], ''],
    ['chunks', ['Transfer-Encoding: chunked'], '0\r\n\r\n'],
    ['chunks and a length', ['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
    ['a length of nothing in another spelling', ['Content-Length: 00'], ''],
    ['a request', [], 'GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a single byte', [], 'x'],
    ['an Expect', ['Expect: 100-continue', 'Content-Length: 5'], ''],
  ])('%s is refused', async (_, lines, bytes) => {
    const answer = await attacked.writeOnce(
      attacked.head('POST', EXEC, ['Connection: Upgrade', ...SPDY, ...lines]) + bytes,
    )
    await attacked.expectRefused(answer, BAD_REQUEST)
  })
})
