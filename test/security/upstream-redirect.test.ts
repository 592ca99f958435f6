import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_GATEWAY, EVERYTHING, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attacks B18, C14.
//
// A redirect that is followed takes the credential along, and one that is passed on takes the client
// (CVE-2018-1002102, CVE-2020-8559, CVE-2022-3172).

const attacked = attackedGateway({ policy: EVERYTHING })

const PAGE = `${NAMESPACE}/services/web/proxy/`

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([301, 302, 303, 307, 308, 300, 399])('a %d to another server is not followed, nor told', async (code) => {
    attacked.apiServer.onRequest = (_request, response) => {
      response.writeHead(code, { Location: 'https://evil.example/?steal' }).end('elsewhere')
    }
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/services/web/proxy/` })
    expect(attacked.seen.map(({ target }) => target)).toEqual(['/api/v1/namespaces/default/services/web/proxy/'])
    attacked.seen.length = 0
    await attacked.expectRefused(answer, BAD_GATEWAY)
    expect(JSON.stringify(answer)).not.toContain('evil')
    expect(attacked.gateway.log.join('')).toContain('redirect to \\"https://evil.example/?steal\\"')
  })

  test.each(['/api/v1/namespaces/default/pods', '/login', '//evil.example/', ''])(
    'nor is one of the API itself to %j',
    async (location) => {
      attacked.apiServer.onRequest = (_request, response) => {
        response.writeHead(302, { Location: location }).end()
      }
      const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods` })
      expect(attacked.seen).toHaveLength(1)
      attacked.seen.length = 0
      await attacked.expectRefused(answer, BAD_GATEWAY)
    },
  )

  test('one that stays behind the same proxy is passed on under the address that the client knows', async () => {
    attacked.apiServer.onRequest = (_request, response) => {
      response.writeHead(302, { Location: `${PAGE.slice(SOCKET.length)}login` }).end()
    }
    const answer = await attacked.send(protocol, { target: PAGE })
    expect(answer).toMatchObject({ statusCode: 302, headers: { location: `${PAGE}login` } })
    expect(attacked.seen).toHaveLength(1)
  })

  test.each(['../other/proxy/', 'x/../../../secrets', '%2e%2e/%2E%2E/secrets', '..\\..\\secrets', 'a b'])(
    'one that leaves it by %s is not',
    async (path) => {
      attacked.apiServer.onRequest = (_request, response) => {
        response.writeHead(302, { Location: PAGE.slice(SOCKET.length) + path }).end()
      }
      const answer = await attacked.send(protocol, { target: PAGE })
      expect(attacked.seen).toHaveLength(1)
      attacked.seen.length = 0
      await attacked.expectRefused(answer, BAD_GATEWAY)
    },
  )
})

test('an upgrade is not redirected', async () => {
  attacked.apiServer.onUpgrade = (_request, socket) => {
    socket.end('HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n')
  }
  const lines = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
  const answer = await attacked.writeOnce(attacked.head('POST', `${NAMESPACE}/pods/web/exec?command=id`, lines))
  expect(attacked.seen).toHaveLength(1)
  attacked.seen.length = 0
  await attacked.expectRefused(answer, BAD_GATEWAY)
})
