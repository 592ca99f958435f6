import { expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, namesOf } from '../support/attacked-gateway.ts'

// Attack D4.
//
// Kubernetes looks for `upgrade` anywhere in `Connection`; a proxy that looks for the token sees none and passes the
// headers on, and the API server upgrades what nobody authorized as an upgrade.

const attacked = attackedGateway({ policy: EVERYTHING })

const WEBSOCKET = [
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
  'X-Stream-Protocol-Version: v4.channel.k8s.io',
]

test.each([
  ['a longer token', ['Connection: xupgradex', 'Upgrade: websocket']],
  ['the token in quotes', ['Connection: "upgrade"', 'Upgrade: websocket']],
  ['the token with a hyphen', ['Connection: x-upgrade', 'Upgrade: SPDY/3.1']],
  ['no token', ['Upgrade: websocket']],
  ['nothing to upgrade to', ['Connection: Upgrade']],
  ['an empty protocol', ['Connection: Upgrade', 'Upgrade: ']],
  ['a token for other settings', ['Connection: HTTP2-Settings', 'HTTP2-Settings: AAMAAABk']],
])('with %s it is a plain request, upstream as well', async (_, lines) => {
  const head = attacked.head('GET', `${NAMESPACE}/pods/web/exec?command=id`, [...lines, ...WEBSOCKET])
  const seen = attacked.expectForwarded(await attacked.writeForOne(head))
  expect(namesOf(seen)).toEqual(['audit-id', 'authorization', 'host'])
})

test('with the token in Proxy-Connection, which node reads as well, it is refused', async () => {
  const lines = ['Proxy-Connection: Upgrade', 'Upgrade: SPDY/3.1', ...WEBSOCKET]
  const answer = await attacked.writeOnce(attacked.head('POST', `${NAMESPACE}/pods/web/exec?command=id`, lines))
  await attacked.expectRefused(answer, BAD_REQUEST)
})
