import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_GATEWAY, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attack G6.
//
// What goes wrong behind the gateway is told to operators; to a client, addresses, certificates and file names are a
// map.

const attacked = attackedGateway({ policy: EVERYTHING })

const INTERNAL = /127\.0\.0\.1|localhost|ECONN|EPIPE|ENOTFOUND|certificate|\/tmp\/|node:|\bat \S+:\d+|token/i

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('an answer that is no HTTP', async () => {
    attacked.apiServer.onRequest = (request) => {
      request.socket.end('garbage token-of-the-connector 127.0.0.1\r\n\r\n')
    }
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods` })
    attacked.forget()
    await attacked.expectRefused(answer, BAD_GATEWAY)
    expect(JSON.stringify(answer)).not.toMatch(INTERNAL)
  })

  test('an answer that breaks off', async () => {
    attacked.apiServer.onRequest = (request) => {
      request.socket.destroy()
    }
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods` })
    attacked.forget()
    await attacked.expectRefused(answer, BAD_GATEWAY)
    expect(JSON.stringify(answer)).not.toMatch(INTERNAL)
  })

  test('an API server that refuses the connector itself', async () => {
    attacked.apiServer.onRequest = (_request, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="10.0.0.1"' }).end('{"kind":"Status","code":401}')
    }
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods` })
    attacked.forget()
    await attacked.expectRefused(answer, BAD_GATEWAY)
    expect(JSON.stringify(answer)).not.toMatch(/10\.0\.0\.1|token-of/)
  })
})

test('an API server that is not there', async () => {
  const { server } = attacked.apiServer
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  for (const protocol of PROTOCOLS) {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods` })
    const event = await attacked.expectRefused(answer, { code: 503, reason: 'ServiceUnavailable' })
    expect(JSON.stringify(answer)).not.toMatch(INTERNAL)
    expect(JSON.stringify(event.responseStatus)).not.toMatch(INTERNAL)
  }
  expect(attacked.gateway.log.join('')).toContain('ECONNREFUSED')
})
