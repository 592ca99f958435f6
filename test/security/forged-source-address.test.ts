import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attacks B13, I10.
//
// A rule for an office's addresses, and a header in which anybody may write one.

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: office }
spec:
  subjects: { groups: [payments-dev] }
  conditions: { sourceIPs: [10.0.0.0/8] }
  rules:
  - { verbs: ["*"], resources: ["*"] }
`,
})

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['X-Forwarded-For', '10.0.0.1'],
    ['X-Forwarded-For', '203.0.113.1, 10.0.0.1'],
    ['X-Forwarded-For', '10.0.0.1, 127.0.0.1'],
    ['Forwarded', 'for=10.0.0.1'],
    ['Forwarded', 'for="[::ffff:10.0.0.1]"'],
    ['X-Real-IP', '10.0.0.1'],
    ['X-Client-IP', '10.0.0.1'],
    ['True-Client-IP', '10.0.0.1'],
    ['CF-Connecting-IP', '10.0.0.1'],
    ['X-Envoy-External-Address', '10.0.0.1'],
    ['Via', '1.1 10.0.0.1'],
  ])('%s: %s changes no address', async (name, value) => {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines: [[name, value]] })
    const event = await attacked.expectRefused(answer, FORBIDDEN)
    expect(event.sourceIPs).toEqual(['127.0.0.1'])
  })
})

test('nor does a PROXY protocol line, which is no HTTP', async () => {
  const line = 'PROXY TCP4 10.0.0.1 127.0.0.1 5 6\r\n'
  const answer = await attacked.writeOnce(line + attacked.head('GET', `${NAMESPACE}/pods`))
  const event = await attacked.expectRefused(answer, { code: 400, reason: 'BadRequest' })
  expect(event.sourceIPs).toEqual(['127.0.0.1'])
})
