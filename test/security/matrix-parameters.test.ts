import { describe, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack A12.
//
// Some servers cut `;…` off a segment, and Go drops a query parameter that holds one, where others read two.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${NAMESPACE}/pods;a=b`,
    `${NAMESPACE}/pods;/web`,
    `${NAMESPACE}/pods/web;version=1`,
    `${NAMESPACE}/pods/web%3Bversion=1`,
    `${NAMESPACE}/pods/..;/secrets`,
    `${SOCKET}/api;/v1/secrets`,
    `${NAMESPACE}/pods?watch=0;watch=1`,
    `${NAMESPACE}/pods?a=b;fieldSelector=metadata.name%3Dweb`,
    `${NAMESPACE}/pods?;watch=1`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })
})
