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

// Attack A1.
//
// One side resolves `..` and the other does not: what was authorized in one namespace is read in another.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${NAMESPACE}/pods/../../other/secrets`,
    `${NAMESPACE}/pods/..`,
    `${NAMESPACE}/../other/pods`,
    `${NAMESPACE}/./pods`,
    `${NAMESPACE}/pods/.`,
    `${NAMESPACE}/pods/%2e%2e/%2E%2E/other/secrets`,
    `${NAMESPACE}/pods/.%2e/x`,
    `${NAMESPACE}/pods/%2e./x`,
    `${NAMESPACE}/pods/%2e`,
    `${NAMESPACE}/pods/..;/x`,
    `${NAMESPACE}/pods/..%2fx`,
    `${NAMESPACE}/pods/web/log/../../../../other/secrets`,
    `${SOCKET}/..`,
    `${SOCKET}/../production/api`,
    `${SOCKET}/version/../api/v1/secrets`,
    `${SOCKET}/api/v1/nodes/n1/proxy/../../../secrets`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })

  test.each(['/../sockets/production/api', '/sockets/../sockets/production/api', '/sockets/./production/api'])(
    '%s leads to no socket',
    async (target) => {
      await attacked.expectRefused(await attacked.send(protocol, { target }), NOT_FOUND)
    },
  )

  test.each(['...', '..a', '.a', 'a..'])('a pod may be called %s all the same', async (name) => {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods/${name}` })
    const { target } = attacked.expectForwarded(answer)
    expect(target).toBe(`/api/v1/namespaces/default/pods/${name}`)
  })
})
