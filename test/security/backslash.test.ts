import { describe, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  NAMESPACE,
  NOT_FOUND,
  PROTOCOLS,
  SOCKET,
} from '../support/attacked-gateway.ts'

// Attack A5.
//
// To browsers' URLs a backslash is a slash, to Kubernetes it is a character of a name.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${NAMESPACE}\\secrets`,
    `${NAMESPACE}/pods\\..\\..\\other\\secrets`,
    `${NAMESPACE}/pods/web%5Cexec`,
    `${NAMESPACE}/pods/..%5c..%5Cother`,
    `${SOCKET}/\\evil.example/api`,
    `${NAMESPACE}/services/web/proxy/..\\..\\secrets`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })

  test.each([`${SOCKET}\\api`, '/sockets\\production/api'])('%s leads to no socket', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), NOT_FOUND)
  })
})
