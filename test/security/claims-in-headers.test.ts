import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, FORBIDDEN, NAMESPACE, PROTOCOLS, UNAUTHORIZED, valuesOf } from '../support/attacked-gateway.ts'

// A claim becomes a header line of the request that goes on: a line break in it begins another line, bytes that are
// encoded another way are another person, and a comma makes two groups of one where lines are joined.

const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

const PODS = `${NAMESPACE}/pods`

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['a line in the name', { email: 'ana@example.com\r\nImpersonate-Group: system:masters' }],
    ['a line feed in the name', { email: 'ana@example.com\nx' }],
    ['a NUL in the name', { email: 'ana@example.com\0' }],
    ['an escape in the name', { email: 'ana\x1b[2J@example.com' }],
    ['a C1 control in the name', { email: 'ana\x9b@example.com' }],
    ['half a character in the name', { email: 'ana\ud800@example.com' }],
    ['a line in a group', { groups: ['payments-dev', 'x\r\nImpersonate-Group: system:masters'] }],
    ['a NUL in a group', { groups: ['payments-dev', 'x\0'] }],
    ['half a character in a group', { groups: ['payments-dev', '\udc00'] }],
  ])('%s never becomes a header', async (_, claims) => {
    const token = await attacked.gateway.issuer.sign({ email_verified: true, ...claims })
    const answer = await attacked.send(protocol, { target: PODS, token })
    if ('statusCode' in answer && answer.statusCode === 200) {
      // A group that cannot be a group was left out.
      const seen = attacked.expectForwarded(answer)
      expect(valuesOf(seen, 'impersonate-group')).toEqual(['payments-dev'])
      expect(valuesOf(seen, 'impersonate-user')).toEqual(['ana@example.com'])
    } else {
      const isRefusedAsForbidden = 'statusCode' in answer && answer.statusCode === 403
      await attacked.expectRefused(answer, isRefusedAsForbidden ? FORBIDDEN : UNAUTHORIZED)
    }
  })

  test.each(['jos\u00e9@example.com', 'jose\u0301@example.com', '\u4e2d\u6587@example.com', '\u{1f600}@example.com'])(
    'the name %s arrives as its own UTF-8',
    async (email) => {
      const token = await attacked.gateway.issuer.sign({ email })
      const answer = await attacked.send(protocol, { target: PODS, token })
      if ('statusCode' in answer && answer.statusCode !== 200) {
        await attacked.expectRefused(answer, UNAUTHORIZED)
        return
      }
      const [name = ''] = valuesOf(attacked.expectForwarded(answer), 'impersonate-user')
      expect(Buffer.from(name, 'latin1').toString('utf8')).toBe(email)
    },
  )

  test('a group with a comma is one group on one line', async () => {
    const groups = ['payments-dev', 'a,system:masters', 'b c']
    const token = await attacked.gateway.issuer.sign({ groups })
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: PODS, token }))
    expect(valuesOf(seen, 'impersonate-group')).toEqual(groups)
  })
})
