import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  FORBIDDEN,
  NAMESPACE,
  PROTOCOLS,
  valuesOf,
} from '../support/attacked-gateway.ts'

// The connector may impersonate anybody: a client's own Impersonate-* that passed through would be obeyed
// (CVE-2021-36776), and a new one that a list of names does not have as well.

const NAMES = [
  'Impersonate-User',
  'impersonate-user',
  'IMPERSONATE-USER',
  'Impersonate-Group',
  'Impersonate-Uid',
  'Impersonate-Extra-scopes',
  'Impersonate-Extra-a%2fb',
  'Impersonate-Anything-To-Come',
]

describe.each(['connector', 'subject'] as const)('a socket that forwards as the %s', (forwardAs) => {
  const attacked = attackedGateway({ policy: EVERYTHING, forwardAs })

  describe.each(PROTOCOLS)('over %s', (protocol) => {
    test.each(NAMES)('refuses %s', async (name) => {
      const answer = await attacked.send(protocol, {
        target: `${NAMESPACE}/pods`,
        lines: [[name, 'system:masters']],
      })
      await attacked.expectRefused(answer, FORBIDDEN)
    })

    test.each(['Impersonate-User', 'Impersonate-Group'])('refuses a repeated and an empty %s', async (name) => {
      const values = ['', 'system:masters', 'ana@example.com']
      const lines = values.map((value) => [name, value] as const)
      await attacked.expectRefused(await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines }), FORBIDDEN)
    })

    test('sends none that it did not write', async () => {
      const seen = attacked.expectForwarded(await attacked.send(protocol, { target: `${NAMESPACE}/pods` }))
      const own = forwardAs === 'subject'
      expect(valuesOf(seen, 'impersonate-user')).toEqual(own ? ['ana@example.com'] : [])
      expect(valuesOf(seen, 'impersonate-group')).toEqual(own ? ['payments-dev'] : [])
    })
  })

  test.each(['Impersonate-', 'Impersonate-User ', 'Impersonate User', 'Impersonate-Us\x0ber'])(
    'refuses the malformed %j',
    async (name) => {
      const { answers } = await attacked.write(attacked.head('GET', `${NAMESPACE}/pods`, [`${name}: root`]), {
        answers: 1,
      })
      expect(answers).toHaveLength(1)
      for (const answer of answers) {
        await attacked.expectRefused(answer, name === 'Impersonate-' ? FORBIDDEN : BAD_REQUEST)
      }
    },
  )

  test('refuses them on an upgrade', async () => {
    const answer = await attacked.writeOnce(
      attacked.head('POST', `${NAMESPACE}/pods/web/exec?command=id`, [
        'Impersonate-User: system:admin',
        'Connection: Upgrade',
        'Upgrade: SPDY/3.1',
        'X-Stream-Protocol-Version: v4.channel.k8s.io',
      ]),
    )
    await attacked.expectRefused(answer, FORBIDDEN)
  })
})
