import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  FORBIDDEN,
  NAMESPACE,
  PROTOCOLS,
  type Refusal,
  valuesOf,
} from '../support/attacked-gateway.ts'

// Attacks B1, B2.
//
// The connector may impersonate anybody: a client's own Impersonate-* that passed through would be obeyed
// (CVE-2021-36776), and a new one that a list of names does not have as well. Everything but the verb impersonate is
// granted to ana here; `*` does not include it.

const DENIED: Refusal = { ...FORBIDDEN, message: 'cannot impersonate resource' }

const ATTEMPTS: [string, Refusal, [string, string][]][] = [
  ['a user', DENIED, [['Impersonate-User', 'root']]],
  ['a user in lower case', DENIED, [['impersonate-user', 'root']]],
  ['a user in capitals', DENIED, [['IMPERSONATE-USER', 'root']]],
  ['oneself', DENIED, [['Impersonate-User', 'ana@example.com']]],
  ['a service account', DENIED, [['Impersonate-User', 'system:serviceaccount:kube-system:admin']]],
  [
    'a group beside oneself',
    DENIED,
    [
      ['Impersonate-User', 'ana@example.com'],
      ['Impersonate-Group', 'system:masters'],
    ],
  ],
  [
    'somebody of a group that may do everything',
    DENIED,
    [
      ['Impersonate-User', 'bo@example.com'],
      ['Impersonate-Group', 'payments-dev'],
    ],
  ],
  ['a group alone', BAD_REQUEST, [['Impersonate-Group', 'system:masters']]],
  ['a uid alone', BAD_REQUEST, [['Impersonate-Uid', '0']]],
  ['extra alone', BAD_REQUEST, [['Impersonate-Extra-scopes', 'all']]],
  ['an escaped key alone', BAD_REQUEST, [['Impersonate-Extra-a%2fb', 'all']]],
  [
    'two users',
    BAD_REQUEST,
    [
      ['Impersonate-User', 'ana@example.com'],
      ['Impersonate-User', 'root'],
    ],
  ],
  ['an empty user', BAD_REQUEST, [['Impersonate-User', '']]],
  ['what is yet to be invented', BAD_REQUEST, [['Impersonate-Everything', 'true']]],
]

describe.each(['connector', 'subject'] as const)('a socket that forwards as the %s', (forwardAs) => {
  const attacked = attackedGateway({ policy: EVERYTHING, forwardAs })

  describe.each(PROTOCOLS)('over %s', (protocol) => {
    test.each(ATTEMPTS)('refuses %s', async (_, refusal, lines) => {
      await attacked.expectRefused(await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines }), refusal)
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
      const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, [`${name}: root`]))
      await attacked.expectRefused(answer, BAD_REQUEST)
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
    await attacked.expectRefused(answer, DENIED)
  })
})
