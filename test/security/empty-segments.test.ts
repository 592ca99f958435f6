import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  NAMESPACE,
  NOT_FOUND,
  PROTOCOLS,
  SOCKET,
} from '../support/attacked-gateway.ts'

// Attack A4.
//
// A doubled slash is nothing to one parser and an empty segment to another, which moves every segment behind it.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${SOCKET}//api/v1/secrets`,
    `${SOCKET}/api//v1/secrets`,
    `${SOCKET}/api/v1//secrets`,
    `${SOCKET}/api/v1/namespaces//secrets`,
    `${SOCKET}/api/v1/namespaces//default/secrets`,
    `${NAMESPACE}//secrets`,
    `${NAMESPACE}/pods//web`,
    `${NAMESPACE}/pods/web//exec`,
    `${NAMESPACE}/pods//`,
    `${SOCKET}//`,
    `${SOCKET}//evil.example/api`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })

  test.each(['//sockets/production/api', '/sockets//production/api', '//evil.example/sockets/production/api'])(
    '%s leads to no socket',
    async (target) => {
      await attacked.expectRefused(await attacked.send(protocol, { target }), NOT_FOUND)
    },
  )

  test('one slash at the end means nothing to a resource, and is not sent on', async () => {
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: `${NAMESPACE}/pods/` }))
    expect(seen.target).toBe('/api/v1/namespaces/default/pods')
  })
})
