import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attacks A21, H15.
//
// Anybody who may define resources can call one `pods`: a rule that forgets the group grants the wrong one
// (CVE-2021-25318, CVE-2023-32194).

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: core-pods }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], apiGroups: [""], resources: [pods] }
  - { verbs: ["*"], apiGroups: [metrics.k8s.io], resources: [nodes] }
`,
})

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    '/apis/evil.example.com/v1/namespaces/default/pods/web',
    '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web',
    '/apis/v1/v1/namespaces/default/pods/web',
    '/apis/core/v1/namespaces/default/pods/web',
    '/api/v1/nodes/n1',
    '/apis/metrics.k8s.io.evil.example.com/v1/nodes/n1',
    '/apis/metrics/v1beta1/nodes/n1',
  ])('%s is another resource', async (path) => {
    await attacked.expectRefused(await attacked.send(protocol, { target: SOCKET + path }), FORBIDDEN)
  })

  test.each([
    '/api/v1/namespaces/default/pods/web',
    '/apis/metrics.k8s.io/v1beta1/nodes/n1',
    '/apis/metrics.k8s.io/v2/nodes/n1',
  ])('%s is the one that was granted', async (path) => {
    expect(attacked.expectForwarded(await attacked.send(protocol, { target: SOCKET + path })).target).toBe(path)
  })
})
