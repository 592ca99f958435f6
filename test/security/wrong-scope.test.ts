import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack A16.
//
// A cluster-scoped object under the path of a namespace, or the reverse: rights in one namespace reach the whole
// cluster where one side ignores the namespace (CVE-2019-11247).

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: namespace-owner }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: ["*"], namespaces: [default] }
`,
})

const CRD = '/apis/stable.example.com/v1'

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${SOCKET}/api/v1/nodes`,
    `${SOCKET}/api/v1/nodes/default`,
    `${SOCKET}/api/v1/persistentvolumes/default`,
    `${SOCKET}${CRD}/clustercrontabs/default`,
    `${SOCKET}${CRD}/clustercrontabs`,
    `${SOCKET}/api/v1/pods`,
    `${SOCKET}/api/v1/secrets?fieldSelector=metadata.namespace%3Ddefault`,
    `${SOCKET}/api/v1/namespaces`,
    `${SOCKET}/api/v1/namespaces/other`,
  ])('%s is not in the namespace that was granted', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), FORBIDDEN)
  })

  test.each([
    [NAMESPACE, 'namespaces'],
    [`${NAMESPACE}/status`, 'namespaces'],
    [`${SOCKET}${CRD}/namespaces/default/clustercrontabs/x`, 'clustercrontabs'],
  ])('%s is forwarded with the namespace that was decided on', async (target, resource) => {
    const answer = await attacked.send(protocol, { target })
    expect(attacked.expectForwarded(answer).target).toBe(target.slice(SOCKET.length))
    const event = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(event.objectRef).toMatchObject({ namespace: 'default', resource })
  })

  test.each(['nodes', 'persistentvolumes', 'namespaces'])(
    'a namespace before %s is never cut off, and kube-apiserver has no such path',
    async (resource) => {
      const path = `/api/v1/namespaces/default/${resource}/x`
      const seen = attacked.expectForwarded(await attacked.send(protocol, { target: SOCKET + path }))
      expect(seen.target).toBe(path)
    },
  )
})
