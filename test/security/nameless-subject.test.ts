import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  EVERYTHING,
  NAMESPACE,
  PROTOCOLS,
  UNAUTHORIZED,
  valuesOf,
} from '../support/attacked-gateway.ts'

// Attack B11.
//
// A request in nobody's name is made in the connector's own (CVE-2026-23990).

const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

const PODS = `${NAMESPACE}/pods`

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['no name', { email: undefined }],
    ['null for a name', { email: null }],
    ['an empty name', { email: '' }],
    ['a blank name', { email: ' ' }],
    ['blanks around the name', { email: ' ana@example.com ' }],
    ['a list of names', { email: ['ana@example.com'] }],
    ['a number for a name', { email: 0 }],
    ['an empty group', { groups: [''] }],
    ['a blank group', { groups: ['payments-dev', ' '] }],
    ['no sub', { sub: undefined }],
    ['an empty sub', { sub: '' }],
  ])('a token with %s is nobody’s', async (_, claims) => {
    const token = await attacked.gateway.issuer.sign(claims)
    await attacked.expectRefused(await attacked.send(protocol, { target: PODS, token }), UNAUTHORIZED)
  })

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('a %s goes on in exactly one name', async (method) => {
    const body = method === 'GET' ? {} : { body: '{}' }
    const seen = attacked.expectForwarded(await attacked.send(protocol, { method, target: PODS, ...body }))
    expect(valuesOf(seen, 'impersonate-user')).toEqual(['ana@example.com'])
  })
})

test('an upgrade goes on in exactly one name', async () => {
  const lines = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']
  await attacked.writeOnce(attacked.head('POST', `${PODS}/web/exec?command=id`, lines))
  expect(attacked.seen.map((seen) => valuesOf(seen, 'impersonate-user'))).toEqual([['ana@example.com']])
})
