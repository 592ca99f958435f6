import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, FORBIDDEN, NOT_FOUND, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attack A9.
//
// Case and Unicode: a name that one side folds into another is granted as the one and acted on as the other.

const attacked = attackedGateway({ defaultSocket: 'production' })

const SERVICES = '/api/v1/namespaces/default/services'
const RESOURCES = '/api/v1/namespaces'

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['the prefix in capitals', '/API/v1/namespaces/default/services'],
    ['the prefix in full width', '/%EF%BD%81pi/v1/namespaces/default/services'],
    ['namespaces in capitals', '/api/v1/Namespaces/default/services'],
    ['the namespace in capitals', `${RESOURCES}/Default/services`],
    ['a namespace in full width', `${RESOURCES}/%EF%BD%84efault/services`],
    ['a namespace with a soft hyphen', `${RESOURCES}/def%C2%ADault/services`],
    ['a namespace with a combining accent', `${RESOURCES}/default%CC%81/services`],
    ['a namespace with a long s', `${RESOURCES}/%C5%BFdefault/services`],
    ['a namespace with a space', `${RESOURCES}/default%20/services`],
    ['a namespace with a no-break space', `${RESOURCES}/default%C2%A0/services`],
  ])('%s is not what was granted', async (_, target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), FORBIDDEN)
  })

  test.each(['/Sockets/production', '/SOCKETS/production'])('%s is no path of a socket', async (prefix) => {
    await attacked.expectRefused(await attacked.send(protocol, { target: prefix + SERVICES }), FORBIDDEN)
  })

  test.each(['Production', 'PRODUCTION', 'production.', 'production%20', '%EF%BD%90roduction'])(
    'there is no socket %s',
    async (name) => {
      await attacked.expectRefused(await attacked.send(protocol, { target: `/sockets/${name}${SERVICES}` }), NOT_FOUND)
    },
  )

  test('a resource in capitals is another resource, and is forwarded as it is spelled', async () => {
    const seen = attacked.expectForwarded(
      await attacked.send(protocol, { target: '/api/v1/namespaces/default/Services' }),
    )
    expect(seen.target).toBe('/api/v1/namespaces/default/Services')
  })

  test.each(['fal%C5%BFe', '%EF%BC%90'])('watch=%s, which folds to a word, is refused', async (value) => {
    const answer = await attacked.send(protocol, { target: `${SERVICES}?watch=${value}` })
    await attacked.expectRefused(answer, BAD_REQUEST)
  })
})
