import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  EVERYTHING,
  NAMESPACE,
  PROTOCOLS,
  UNAUTHORIZED,
  valuesOf,
} from '../support/attacked-gateway.ts'

// Attacks B8, B9, B10, E12.
//
// A claim becomes a header line of the request that goes on: a line break in it begins another line, bytes that are
// encoded another way are another group, and a comma makes two groups of one where lines are joined.

const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

const PODS = `${NAMESPACE}/pods`

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['a line in the name', { email: 'ana@example.com\r\nImpersonate-Group: system:masters' }],
    ['a line feed in the name', { email: 'ana@example.com\nx' }],
    ['a NUL in the name', { email: 'ana@example.com\0' }],
    ['an escape sequence in the name', { email: 'ana\x1b[2J@example.com' }],
    ['a C1 control in the name', { email: 'ana\x9b@example.com' }],
    ['half a character in the name', { email: 'ana\ud800@example.com' }],
    ['a look-alike of the name', { email: '\u200bana@example.com' }],
    ['a line in a group', { groups: ['payments-dev', 'x\r\nImpersonate-Group: system:masters'] }],
    ['a NUL in a group', { groups: ['payments-dev', 'x\0'] }],
    ['half a character in a group', { groups: ['payments-dev', '\udc00'] }],
    ['a text direction in a group', { groups: ['payments-dev', '\u202esretsam'] }],
  ])('%s is nobody', async (_, claims) => {
    const token = await attacked.gateway.issuer.sign(claims)
    await attacked.expectRefused(await attacked.send(protocol, { target: PODS, token }), UNAUTHORIZED)
  })

  test('each group is one line of its own UTF-8', async () => {
    const groups = [
      'payments-dev',
      'a,system:masters',
      'b c',
      '\u00e9quipe',
      'e\u0301quipe',
      '\u4e2d\u6587',
      '\u{1f600}',
    ]
    const token = await attacked.gateway.issuer.sign({ groups })
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: PODS, token }))
    const arrived = valuesOf(seen, 'impersonate-group').map((group) => Buffer.from(group, 'latin1').toString('utf8'))
    expect(arrived).toEqual(groups)
  })
})
