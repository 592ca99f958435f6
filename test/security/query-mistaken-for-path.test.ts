import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, NOT_FOUND, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack A14.
//
// A rule for a path that is looked for anywhere in the target finds it in the query (the class of CVE-2025-54576).

const attacked = attackedGateway()

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${SOCKET}/api/v1/secrets?x=/version`,
    `${SOCKET}/api/v1/secrets?/version`,
    `${SOCKET}/api/v1/secrets?x=/api/v1/namespaces/default/secrets`,
    `${SOCKET}/metrics?/healthz`,
    `${SOCKET}/metrics?path=/version`,
    `${SOCKET}/logs/?/api`,
  ])('%s is decided on by its path alone', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), FORBIDDEN)
  })

  test.each(['/?/sockets/production/api', '/?path=/sockets/production/api', '/x?/sockets/production/'])(
    '%s leads to no socket',
    async (target) => {
      await attacked.expectRefused(await attacked.send(protocol, { target }), NOT_FOUND)
    },
  )

  test('a second question mark belongs to a value', async () => {
    const target = `${SOCKET}/version?a=b?c=d`
    expect(attacked.expectForwarded(await attacked.send(protocol, { target })).target).toBe('/version?a=b%3Fc%3Dd')
  })
})
