import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, FORBIDDEN, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'
import { startStagedGateway } from '../support/staged-gateway.ts'

// What cannot be decided is denied: without a policy for somebody, without the keys of an issuer, without a trail.

describe.each(PROTOCOLS)('over %s', (protocol) => {
  describe('with a policy for others', () => {
    const attacked = attackedGateway({ policy: EVERYTHING.replace('payments-dev', 'admins') })

    test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s is denied', async (method) => {
      for (const target of [`${NAMESPACE}/pods`, `${NAMESPACE}/pods/web`, `${SOCKET}/metrics`, `${SOCKET}/`]) {
        await attacked.expectRefused(await attacked.send(protocol, { method, target }), FORBIDDEN)
      }
    })

    test.each(['payments-dev', 'Admins', 'admins-x', 'admin', 'system:admins'])(
      'the group %s is not the one that is meant',
      async (group) => {
        const token = await attacked.gateway.issuer.sign({ groups: [group] })
        const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, token })
        expect(answer).toMatchObject({ statusCode: group.startsWith('system:') ? 401 : 403 })
        expect(attacked.seen).toEqual([])
      },
    )
  })
})

describe('without the keys of the issuer', () => {
  const attacked = attackedGateway({ policy: EVERYTHING })

  test('nobody is let in', async () => {
    const { issuer } = attacked.gateway
    issuer.staged.set('/keys', (_request, response) => response.writeHead(500).end())
    issuer.staged.set('/.well-known/openid-configuration', (_request, response) => response.writeHead(500).end())
    const token = await issuer.sign({}, { header: { kid: 'a-key-that-was-never-seen' } })
    const answer = await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods`, token })
    expect(answer).toSatisfy(({ statusCode }: { statusCode: number }) => statusCode === 401 || statusCode === 503)
    expect(attacked.seen).toEqual([])
  })
})

test.each([
  ['no policy', ''],
  ['a policy that is no YAML', 'a: [b'],
  ['a policy of an unknown version', EVERYTHING.replace('v1alpha1', 'v9')],
  ['a policy of an unknown kind', EVERYTHING.replace('kind: Policy', 'kind: Polity')],
  ['a key that nobody knows', EVERYTHING.replace('spec:', 'spec:\n  allowAll: true')],
  ['a rule without verbs', EVERYTHING.replace('verbs: ["*"], resources', 'resources')],
  ['a rule without resources', EVERYTHING.replace(', resources: ["*", "*/*"]', '')],
  ['an empty list of namespaces', EVERYTHING.replace('"*/*"]', '"*/*"], namespaces: []')],
  ['nobody for a subject', EVERYTHING.replace('{ groups: [payments-dev] }', '{}')],
  ['everybody for a subject', EVERYTHING.replace('[payments-dev]', '["*"]')],
])('with %s the connector does not start', async (_, policy) => {
  await expect(startStagedGateway({ policy })).rejects.toThrow()
})
