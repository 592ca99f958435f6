import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  FORBIDDEN,
  METHOD_NOT_ALLOWED,
  NAMESPACE,
  PROTOCOLS,
} from '../support/attacked-gateway.ts'

// Attack A18.
//
// What is authorized by its method must be done by the same: no override by header, no method that Kubernetes has no
// verb for, no other spelling.

const attacked = attackedGateway({ policy: EVERYTHING })

const POD = `${NAMESPACE}/pods/web`
const OVERRIDES = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'X-Method']

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(['TRACE', 'SEARCH', 'PROPFIND', 'PURGE', 'LINK', 'MERGE'])('%s is refused', async (method) => {
    await attacked.expectRefused(await attacked.send(protocol, { method, target: POD }), METHOD_NOT_ALLOWED)
  })

  test.each(OVERRIDES)('%s changes nothing and is not sent on', async (name) => {
    const lines = [[name, 'DELETE']] as const
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: POD, lines }))
    expect(seen.method).toBe('GET')
    expect(seen.rawHeaders.join().toLowerCase()).not.toContain('method')
  })

  test('a parameter that names a method changes nothing', async () => {
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: `${POD}?_method=DELETE` }))
    expect(seen.method).toBe('GET')
  })

  test('OPTIONS has no verb on a resource, and not even everything grants it', async () => {
    const event = await attacked.expectRefused(
      await attacked.send(protocol, { method: 'OPTIONS', target: POD }),
      FORBIDDEN,
    )
    expect(event.verb).toBe('')
  })

  test('HEAD is the same right as GET, and is forwarded as HEAD', async () => {
    const seen = attacked.expectForwarded(await attacked.send(protocol, { method: 'HEAD', target: POD }))
    expect(seen.method).toBe('HEAD')
  })
})

describe('in bytes', () => {
  test.each(['get', 'Get', 'gET', 'GETX', 'G ET', 'FOO', 'DELETE\t', '"GET"', ''])(
    '%j is no method',
    async (method) => {
      const answer = await attacked.writeOnce(attacked.head(method, POD))
      await attacked.expectRefused(answer, BAD_REQUEST)
    },
  )

  test('QUERY is refused', async () => {
    await attacked.expectRefused(await attacked.writeForOne(attacked.head('QUERY', POD)), METHOD_NOT_ALLOWED)
  })
})

test.each(['get', 'Get', 'FOO', 'QUERY', 'GETX'])('over HTTP/2 the method %s is refused', async (method) => {
  const answer = await attacked.send('HTTP/2', { method, target: POD })
  await attacked.expectRefused(answer, METHOD_NOT_ALLOWED)
})
