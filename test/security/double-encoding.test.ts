import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack A3.
//
// What is decoded once is a name; decoded again by somebody behind, it is a path.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${NAMESPACE}/pods/%252e%252e/%252e%252e/other/secrets`,
    `${NAMESPACE}/pods%252Fweb`,
    `${NAMESPACE}/pods%252fweb`,
    `${NAMESPACE}/pods/%25252e%25252e`,
    `${NAMESPACE}/pods/web%2500`,
    `${NAMESPACE}/pods/web%25`,
    `${SOCKET}/%2561pi/v1/secrets`,
    `${NAMESPACE}/services/web/proxy/%252e%252e/secrets`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })

  test('a percent sign in a query is decoded once and encoded once', async () => {
    const target = `${NAMESPACE}/pods?fieldSelector=metadata.name%253Dweb`
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target }))
    expect(seen.target).toBe('/api/v1/namespaces/default/pods?fieldSelector=metadata.name%253Dweb')
  })
})
