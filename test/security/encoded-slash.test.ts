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

// Attack A2.
//
// kube-apiserver splits the path after decoding it: `a%2Fb` is one segment to whoever splits first, and two to it.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${NAMESPACE}%2Fsecrets`,
    `${NAMESPACE}/pods%2Fweb`,
    `${NAMESPACE}/pods%2fweb`,
    `${NAMESPACE}/pods/web%2Fexec`,
    `${NAMESPACE}/pods/web%2f..%2f..%2fsecrets`,
    `${SOCKET}/api%2Fv1%2Fsecrets`,
    `${SOCKET}/%2Fapi/v1/secrets`,
    `${SOCKET}/apis%2fapps/v1/deployments`,
    `${SOCKET}/api/v1/namespaces/default%2Fsecrets%2Fdb`,
    `${NAMESPACE}/services/web/proxy%2Fadmin`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })

  test.each(['/sockets%2Fproduction/api', '/sockets/production%2Fapi', '/%2Fsockets/production/api'])(
    '%s leads to no socket',
    async (target) => {
      await attacked.expectRefused(await attacked.send(protocol, { target }), NOT_FOUND)
    },
  )
})
