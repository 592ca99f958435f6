import { describe, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack A10.
//
// A fragment never goes over the wire: a `#` in a target is cut off by one parser and part of the path to another.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${SOCKET}/version#/../api/v1/secrets`,
    `${SOCKET}/version#`,
    `${NAMESPACE}/pods#/web`,
    `${NAMESPACE}/pods?watch=1#&watch=0`,
    `${SOCKET}/#/api`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })
})
