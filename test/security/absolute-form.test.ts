import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING } from '../support/attacked-gateway.ts'

// Attacks A11, C6.
//
// A target that names a host of its own turns a careless proxy into a way to anywhere.

const attacked = attackedGateway({ policy: EVERYTHING, defaultSocket: 'production' })

const PODS = '/api/v1/namespaces/default/pods'

describe('in a request line', () => {
  test.each([
    'http://169.254.169.254/latest/meta-data/',
    `https://evil.example${PODS}`,
    `https://localhost${PODS}`,
    `HTTPS://localhost${PODS}`,
    'ftp://localhost/',
    '*',
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.writeForOne(attacked.head('GET', target)), BAD_REQUEST)
  })

  test('OPTIONS * is not the whole API', async () => {
    await attacked.expectRefused(await attacked.writeForOne(attacked.head('OPTIONS', '*')), BAD_REQUEST)
  })

  test.each(['evil.example:443', '127.0.0.1:6443', '[::1]:6443'])('CONNECT %s opens no way', async (authority) => {
    const answer = await attacked.writeOnce(attacked.head('CONNECT', authority))
    await attacked.expectRefused(answer, BAD_REQUEST)
  })

  test('CONNECT with bytes behind it opens no way either', async () => {
    const answer = await attacked.writeOnce(attacked.head('CONNECT', 'evil.example:443') + attacked.head('GET', PODS))
    await attacked.expectRefused(answer, BAD_REQUEST)
  })
})

test('the Host header never picks the API server', async () => {
  const { token } = attacked.gateway
  const head = `GET ${PODS} HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${token}\r\n\r\n`
  const { rawHeaders } = attacked.expectForwarded(await attacked.writeForOne(head))
  expect(rawHeaders.join()).not.toContain('evil')
})
