import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  METHOD_NOT_ALLOWED,
  PROTOCOLS,
  SOCKET,
} from '../support/attacked-gateway.ts'

// Attack A17.
//
// `/api/v1/watch/…` and `/api/v1/proxy/…` set the verb whatever the method: a DELETE that is authorized as a watch.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])(
    '%s on the prefix watch is refused',
    async (method) => {
      const answer = await attacked.send(protocol, {
        method,
        target: `${SOCKET}/api/v1/watch/namespaces/default/pods/web`,
      })
      if (method === 'HEAD') expect(answer).toMatchObject({ statusCode: 405, body: '' })
      else await attacked.expectRefused(answer, METHOD_NOT_ALLOWED)
      expect(attacked.seen).toEqual([])
    },
  )

  test.each([
    '/api/v1/watch',
    '/api/v1/watch/',
    '/api/v1/watch/watch/pods',
    '/api/v1/watch/proxy/pods',
    '/api/v1/proxy',
    '/api/v1/proxy/namespaces/default/pods/web/x',
    '/api/v1/proxy/nodes/n1/x',
    '/apis/apps/v1/proxy/namespaces/default/deployments/web',
    '/apis/apps/v1/watch/proxy/x',
  ])('%s is refused', async (path) => {
    await attacked.expectRefused(await attacked.send(protocol, { target: SOCKET + path }), BAD_REQUEST)
  })

  test.each(['DELETE', 'POST', 'GET'])('%s on the prefix proxy is refused', async (method) => {
    const answer = await attacked.send(protocol, {
      method,
      target: `${SOCKET}/api/v1/proxy/namespaces/default/pods/web`,
    })
    await attacked.expectRefused(answer, BAD_REQUEST)
  })

  test('GET on the prefix watch is a watch of what stands behind it', async () => {
    const target = `${SOCKET}/api/v1/watch/namespaces/default/pods/web`
    const answer = await attacked.send(protocol, { target })
    expect(attacked.expectForwarded(answer).target).toBe('/api/v1/watch/namespaces/default/pods/web')
    const event = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(event).toMatchObject({ verb: 'watch', objectRef: { resource: 'pods', namespace: 'default', name: 'web' } })
  })
})
