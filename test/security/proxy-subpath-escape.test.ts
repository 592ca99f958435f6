import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack A19.
//
// Behind `proxy` any path is allowed, which somebody further on may resolve to one in front of it (the class of
// CVE-2020-8562 and CVE-2022-3294).

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: web }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: [pods/proxy, services/proxy], namespaces: [default], resourceNames: [web] }
  - { verbs: ["*"], resources: [nodes/proxy] }
`,
})

const WEB = `${SOCKET}/api/v1/namespaces/default/services/web/proxy`

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${WEB}/..`,
    `${WEB}/../proxy`,
    `${WEB}/../../../secrets`,
    `${WEB}/a/../../../../secrets`,
    `${WEB}/%2e%2e/%2e%2e/secrets`,
    `${WEB}/..%2f..%2fsecrets`,
    `${WEB}/..%5c..%5csecrets`,
    `${WEB}/..\\..\\secrets`,
    `${WEB}/%252e%252e/secrets`,
    `${WEB}/..;/..;/secrets`,
    `${WEB}//evil.example/`,
    `${WEB}/.`,
    `${WEB}/a%00b`,
    `${WEB}/a#b`,
    `${SOCKET}/api/v1/nodes/n1/proxy/../../../secrets`,
    `${SOCKET}/api/v1/namespaces/default/pods/web/proxy/../../other/exec`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })

  test('what stays behind proxy keeps its bytes', async () => {
    const path = '/a+b/%7B1%7d,%3a/x/?q=a%20b&&c&=&e=f=g'
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: WEB + path }))
    expect(seen.target).toBe(WEB.slice(SOCKET.length) + path)
  })
})
