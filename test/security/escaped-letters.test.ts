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

// Attack A6.
//
// Letters that need no escape are escaped to dodge a rule that compares text. No real client does that.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${SOCKET}/%61pi/v1/secrets`,
    `${SOCKET}/api/%76%31/secrets`,
    `${NAMESPACE}/p%6fds`,
    `${NAMESPACE}/%73ecrets`,
    `${NAMESPACE}/pods/web/e%78ec`,
    `${SOCKET}/api/v1/%6Eamespaces/default/pods`,
    `${SOCKET}/api/v1/namespaces/default%2dprod/pods`,
    `${NAMESPACE}/pods/web%5F1`,
    `${NAMESPACE}/pods/web%7E1`,
    `${SOCKET}/m%65trics`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })

  test.each(['/%73ockets/production/api', '/sockets/%70roduction/api'])('%s leads to no socket', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), NOT_FOUND)
  })

  test('the escapes that clients do send name the same object, and are sent on in one spelling', async () => {
    const target = `${SOCKET}/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3anode`
    const { target: sent } = attacked.expectForwarded(await attacked.send(protocol, { target }))
    expect(sent).toBe('/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node')
  })
})
