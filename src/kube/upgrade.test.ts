import { describe, expect, test } from 'vitest'
import { parseRequest } from './parsed-request.ts'
import { StatusError } from './status.ts'
import { MAX_SUBPROTOCOLS, type Upgrade, agreedSubprotocol, parseUpgrade, upgradeHeaders } from './upgrade.ts'

const exec = '/api/v1/namespaces/a/pods/b/exec?command=id'
const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const spdy = ['Connection', 'Upgrade', 'Upgrade', 'SPDY/3.1', 'X-Stream-Protocol-Version', 'v4.channel.k8s.io']
const webSocket = [
  ...['Connection', 'Upgrade', 'Upgrade', 'websocket'],
  ...['Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', key],
]

function ask(method: string, target: string, headers: readonly string[]): Upgrade | undefined {
  return parseUpgrade(method, parseRequest(method, target).requestInfo, headers)
}

function refusal(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

describe('an upgrade is let through', () => {
  test.each([
    ['POST', exec],
    ['GET', exec],
    ['POST', '/api/v1/namespaces/a/pods/b/attach'],
  ])('%s %s over SPDY', (method, target) => {
    expect(ask(method, target, spdy)).toStrictEqual({ protocol: 'SPDY/3.1', subprotocols: ['v4.channel.k8s.io'] })
  })

  test.each([
    exec,
    '/api/v1/namespaces/a/pods/b/attach',
    '/api/v1/namespaces/a/pods/b/portforward?ports=80',
    '/api/v1/namespaces/a/pods/b/log?follow=true',
    '/api/v1/pods?watch=1',
    '/api/v1/watch/pods',
    '/api/v1/namespaces/a/pods/b/proxy/socket',
    '/api/v1/namespaces/a/services/b/proxy/socket',
    '/api/v1/nodes/b/proxy/',
  ])('GET %s over a WebSocket', (target) => {
    expect(ask('GET', target, webSocket)).toStrictEqual({ protocol: 'websocket', subprotocols: [], key })
  })

  test.each([
    ['in any case', ['connection', 'keep-alive, UPGRADE', 'upgrade', 'spdy/3.1']],
    ['with a body of no length', ['Connection', 'Upgrade', 'Upgrade', 'SPDY/3.1', 'Content-Length', '0']],
    ['with Connection on two lines', ['Connection', 'close', 'Connection', 'Upgrade', 'Upgrade', 'SPDY/3.1']],
  ])('%s', (_name, headers) => {
    expect(ask('POST', exec, headers)).toMatchObject({ protocol: 'SPDY/3.1' })
  })
})

describe('a request is no upgrade', () => {
  test.each([
    ['without the headers', []],
    ['without Connection', ['Upgrade', 'SPDY/3.1']],
    ['without Upgrade', ['Connection', 'Upgrade']],
    ['with a token that only holds the word', ['Connection', 'xupgradex', 'Upgrade', 'SPDY/3.1']],
    ['with a token that only begins with the word', ['Connection', 'upgrade-insecure', 'Upgrade', 'websocket']],
  ])('%s', (_name, headers) => {
    expect(ask('POST', exec, headers)).toBeUndefined()
  })
})

describe('an upgrade is refused', () => {
  const to = (protocol: string) => ['Connection', 'Upgrade', 'Upgrade', protocol]
  test.each([
    ['to h2c', 'GET', exec, to('h2c')],
    ['to TLS', 'GET', exec, to('TLS/1.2')],
    ['to another SPDY', 'POST', exec, to('SPDY/3')],
    ['to one of two protocols', 'POST', exec, to('SPDY/3.1, websocket')],
    ['to nothing', 'POST', exec, to('')],
    ['to two protocols', 'POST', exec, [...spdy, 'Upgrade', 'websocket']],
    ['to the same protocol twice', 'POST', exec, [...spdy, 'Upgrade', 'SPDY/3.1']],
    ['on a list', 'GET', '/api/v1/pods', webSocket],
    ['on an object', 'GET', '/api/v1/namespaces/a/pods/b', webSocket],
    ['on a log by SPDY', 'GET', '/api/v1/namespaces/a/pods/b/log', spdy],
    ['on a watch by SPDY', 'GET', '/api/v1/pods?watch=1', spdy],
    ['behind proxy by SPDY', 'POST', '/api/v1/nodes/n/proxy/exec/a/b/c', spdy],
    ['on the status of a pod', 'GET', '/api/v1/namespaces/a/pods/b/status', webSocket],
    ['on exec of something else', 'GET', '/apis/example.com/v1/namespaces/a/pods/b/exec', webSocket],
    ['on a path that is no resource', 'GET', '/healthz', webSocket],
    ['of a POST to a WebSocket', 'POST', exec, webSocket],
    ['of a PUT', 'PUT', exec, spdy],
    ['of a DELETE', 'DELETE', exec, spdy],
    ['with a body', 'POST', exec, [...spdy, 'Content-Length', '5']],
    ['with a chunked body', 'POST', exec, [...spdy, 'Transfer-Encoding', 'chunked']],
    ['without a WebSocket key', 'GET', exec, to('websocket')],
    [
      'with a WebSocket key of another length',
      'GET',
      exec,
      [...to('websocket'), 'Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', 'AA=='],
    ],
    ['with two WebSocket keys', 'GET', exec, [...webSocket, 'Sec-WebSocket-Key', key]],
    [
      'with another WebSocket version',
      'GET',
      exec,
      [...to('websocket'), 'Sec-WebSocket-Version', '8', 'Sec-WebSocket-Key', key],
    ],
    ['with two WebSocket versions', 'GET', exec, [...webSocket, 'Sec-WebSocket-Version', '13']],
    [
      'with stream protocols that nobody knows',
      'GET',
      exec,
      [...webSocket, 'Sec-WebSocket-Protocol', 'v9.channel.k8s.io'],
    ],
    ['with a malformed stream protocol', 'GET', exec, [...webSocket, 'Sec-WebSocket-Protocol', 'a b']],
    [
      'with too many stream protocols',
      'POST',
      exec,
      [...spdy, 'X-Stream-Protocol-Version', 'x,'.repeat(MAX_SUBPROTOCOLS)],
    ],
  ])('%s', (_name, method, target, headers) => {
    expect(() => ask(method, target, headers)).toThrow(StatusError)
    expect(refusal(() => ask(method, target, headers))).toMatchObject({ status: { code: 400 } })
  })
})

describe('the offered stream protocols', () => {
  const offer = (target: string, names: string) =>
    ask('GET', target, [...webSocket, 'Sec-WebSocket-Protocol', names])?.subprotocols

  test('keep their order, over repeated and joined lines', () => {
    const lines = ['v5.channel.k8s.io,v4.channel.k8s.io', 'v3.channel.k8s.io', 'channel.k8s.io', 'v4.channel.k8s.io']
    const headers = [...spdy.slice(0, 4), ...lines.flatMap((line) => ['x-stream-protocol-version', line])]
    const upgrade = ask('POST', exec, headers)
    expect(upgrade?.subprotocols).toStrictEqual([
      'v5.channel.k8s.io',
      'v4.channel.k8s.io',
      'v3.channel.k8s.io',
      'channel.k8s.io',
    ])
  })

  test('of a session are only those that can be recorded', () => {
    expect(offer(exec, 'v9.channel.k8s.io, v3.channel.k8s.io, v5.channel.k8s.io')).toStrictEqual(['v5.channel.k8s.io'])
    expect(offer('/api/v1/namespaces/a/pods/b/portforward', 'SPDY/3.1+portforward.k8s.io')).toStrictEqual([
      'SPDY/3.1+portforward.k8s.io',
    ])
  })

  test('of anything else are left as they are', () => {
    expect(offer('/api/v1/namespaces/a/services/b/proxy/', 'graphql-ws, mqtt')).toStrictEqual(['graphql-ws', 'mqtt'])
  })

  test('never hold a token, whatever its case and place', () => {
    const token = 'base64url.Bearer.authorization.k8s.io.c2VjcmV0'
    expect(offer(exec, `${token}, v5.channel.k8s.io`)).toStrictEqual(['v5.channel.k8s.io'])
    expect(offer('/api/v1/pods?watch=1', token.toLowerCase())).toStrictEqual([])
    expect(() => offer(exec, `${token}, nonsense`)).toThrow(/^(?!.*c2VjcmV0)/)
  })
})

describe('the headers that ask for an upgrade', () => {
  test('have a line for each SPDY protocol', () => {
    expect(
      upgradeHeaders({ protocol: 'SPDY/3.1', subprotocols: ['v4.channel.k8s.io', 'channel.k8s.io'] }),
    ).toStrictEqual([
      ...['X-Stream-Protocol-Version', 'v4.channel.k8s.io'],
      ...['X-Stream-Protocol-Version', 'channel.k8s.io'],
    ])
  })

  test('have one line for all WebSocket protocols, and no extensions', () => {
    const headers = [
      ...webSocket,
      'Sec-WebSocket-Protocol',
      'v5.channel.k8s.io,v4.channel.k8s.io',
      'Sec-WebSocket-Extensions',
      'permessage-deflate',
    ]
    const upgrade = ask('GET', exec, headers)
    expect(upgrade && upgradeHeaders(upgrade)).toStrictEqual([
      ...['Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', key],
      ...['Sec-WebSocket-Protocol', 'v5.channel.k8s.io, v4.channel.k8s.io'],
    ])
    expect(upgradeHeaders({ protocol: 'websocket', subprotocols: [], key })).not.toContain('Sec-WebSocket-Protocol')
  })
})

describe('the answer to an upgrade', () => {
  const overSpdy: Upgrade = { protocol: 'SPDY/3.1', subprotocols: ['v4.channel.k8s.io', 'v3.channel.k8s.io'] }
  const overWebSocket: Upgrade = { protocol: 'websocket', subprotocols: ['v5.channel.k8s.io'], key }

  test('names what was agreed on', () => {
    const spdyAnswer = { protocol: 'SPDY/3.1', headers: ['X-Stream-Protocol-Version', 'v3.channel.k8s.io'] }
    expect(agreedSubprotocol(overSpdy, spdyAnswer)).toBe('v3.channel.k8s.io')
    const webSocketAnswer = { protocol: 'WebSocket', headers: ['sec-websocket-protocol', 'v5.channel.k8s.io'] }
    expect(agreedSubprotocol(overWebSocket, webSocketAnswer)).toBe('v5.channel.k8s.io')
    expect(agreedSubprotocol(overWebSocket, { protocol: 'websocket', headers: [] })).toBe('')
  })

  test.each([
    ['switches to another protocol', overSpdy, 'websocket', ['X-Stream-Protocol-Version', 'v4.channel.k8s.io']],
    ['does not say what it switches to', overSpdy, '', ['X-Stream-Protocol-Version', 'v4.channel.k8s.io']],
    ['chooses what was not offered', overSpdy, 'SPDY/3.1', ['X-Stream-Protocol-Version', 'channel.k8s.io']],
    ['chooses nothing of SPDY', overSpdy, 'SPDY/3.1', []],
    [
      'chooses twice',
      overWebSocket,
      'websocket',
      ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io', 'Sec-WebSocket-Protocol', 'x'],
    ],
    ['agrees to an extension', overWebSocket, 'websocket', ['Sec-WebSocket-Extensions', 'permessage-deflate']],
  ])('is a bad gateway when it %s', (_name, upgrade, protocol, headers) => {
    expect(refusal(() => agreedSubprotocol(upgrade, { protocol, headers }))).toMatchObject({ status: { code: 502 } })
  })
})
