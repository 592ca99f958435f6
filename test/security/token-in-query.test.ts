import { describe, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, PROTOCOLS, UNAUTHORIZED } from '../support/attacked-gateway.ts'

// Attack G3.
//
// A token in a URL is in every log and history on the way (CVE-2026-44883). It is none here.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(['access_token', 'token', 'id_token', 'authorization', 'Authorization', 'bearer', 'jwt', 'auth', 'key'])(
    'a token as %s signs nobody in',
    async (name) => {
      for (const value of [attacked.gateway.token, `Bearer%20${attacked.gateway.token}`]) {
        const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods?${name}=${value}`, token: null })
        await attacked.expectRefused(answer, UNAUTHORIZED)
      }
    },
  )

  test('nor does one in the path, or in a body', async () => {
    const { token } = attacked.gateway
    const requests = [
      { target: `${NAMESPACE}/pods/${token}` },
      { target: `${NAMESPACE}/pods`, method: 'POST', body: `access_token=${token}` },
    ]
    for (const request of requests) {
      await attacked.expectRefused(await attacked.send(protocol, { ...request, token: null }), UNAUTHORIZED)
    }
  })
})
