import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attacks D6, D7, H3, H8, I1.
//
// Ways to run code or to leave the cluster's network that a rule about exec does not mention, and exec by the verb
// that reads (kubernetes#78741, #133515, #136550; CVE-2020-8562, CVE-2022-3294).

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: broad }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: ["*"] }
  - { verbs: [get], resources: [pods/exec, pods/attach, pods/portforward] }
  - { verbs: ["*"], nonResourceURLs: [/api*] }
`,
})

const POD = `${SOCKET}/api/v1/namespaces/default/pods/web`
const SPDY = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
]

describe('the right to get a session is no right to have one:', () => {
  test.each(['exec?command=id', 'attach', 'portforward'])('%s by WebSocket', async (path) => {
    const lines = path === 'portforward' ? WEBSOCKET.with(-1, 'Sec-WebSocket-Protocol: v4.channel.k8s.io') : WEBSOCKET
    const answer = await attacked.writeOnce(attacked.head('GET', `${POD}/${path}`, lines))
    await attacked.expectRefused(answer, { ...FORBIDDEN, message: 'cannot create resource "pods/' })
  })

  test.each(['exec?command=id', 'attach', 'portforward'])('%s by SPDY', async (path) => {
    const lines = path === 'portforward' ? SPDY.with(-1, 'X-Stream-Protocol-Version: portforward.k8s.io') : SPDY
    for (const method of ['GET', 'POST']) {
      const answer = await attacked.writeOnce(attacked.head(method, `${POD}/${path}`, lines))
      await attacked.expectRefused(answer, { ...FORBIDDEN, message: 'cannot create resource "pods/' })
    }
  })
})

describe.each(PROTOCOLS)('over %s everything, as `*` grants it, does not include', (protocol) => {
  test.each([
    ['exec without an upgrade', 'GET', `${POD}/exec?command=id`],
    ['exec by POST without an upgrade', 'POST', `${POD}/exec?command=id`],
    ['attach', 'GET', `${POD}/attach`],
    ['port-forward', 'GET', `${POD}/portforward?ports=22`],
    ['an ephemeral container', 'PATCH', `${POD}/ephemeralcontainers`],
    ['an ephemeral container by PUT', 'PUT', `${POD}/ephemeralcontainers`],
    ['the pod itself', 'GET', `${POD}/proxy/`],
    ['the pod on another port', 'POST', `${SOCKET}/api/v1/namespaces/default/pods/web:8080/proxy/run`],
    ['a service', 'GET', `${SOCKET}/api/v1/namespaces/default/services/https:web:443/proxy/`],
    ['the metadata server', 'GET', `${SOCKET}/api/v1/namespaces/default/services/169.254.169.254/proxy/latest`],
    ['the kubelet', 'GET', `${SOCKET}/api/v1/nodes/n1/proxy/pods`],
    ['exec by the kubelet', 'POST', `${SOCKET}/api/v1/nodes/n1/proxy/exec/default/web/web?command=id`],
    ['run by the kubelet', 'POST', `${SOCKET}/api/v1/nodes/n1:10250/proxy/run/default/web/web`],
    ['a service account’s token', 'POST', `${SOCKET}/api/v1/namespaces/default/serviceaccounts/admin/token`],
  ])('%s', async (_, method, target) => {
    const body = method === 'GET' ? {} : { body: '{}' }
    const answer = await attacked.send(protocol, { method, target, ...body })
    await attacked.expectRefused(answer, FORBIDDEN)
  })

  test.each(['/metrics', '/logs/kubelet.log', '/debug/pprof/heap', '/configz', '/flagz', '/statusz'])(
    '%s',
    async (path) => {
      await attacked.expectRefused(await attacked.send(protocol, { target: SOCKET + path }), FORBIDDEN)
    },
  )

  test('but what it does include', async () => {
    expect(attacked.expectForwarded(await attacked.send(protocol, { target: `${POD}/log` })).method).toBe('GET')
  })
})
