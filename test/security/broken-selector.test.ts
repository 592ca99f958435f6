import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attacks A15, H5.
//
// A selector or an option that does not parse must neither hide that a request is a watch, nor give it the name of
// the one object that somebody may see.

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: lists }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: [list], resources: [pods], namespaces: [default] }
  - { verbs: [list, watch], resources: [secrets], namespaces: [default], resourceNames: [mine] }
`,
})

const MINE = 'fieldSelector=metadata.name%3Dmine'

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    'watch=1&labelSelector=%28%28%28',
    'watch=1&fieldSelector=a%3Db%3Dc',
    'watch=true&limit=x',
    'watch&timeoutSeconds=1.5',
    'watch=&limit=99999999999999999999',
    'watch=no',
    'labelSelector=%2C%2C&watch=1',
  ])('a list with %s is a watch, and is not granted', async (query) => {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods?${query}` })
    const event = await attacked.expectRefused(answer, FORBIDDEN)
    expect(event.verb).toBe('watch')
  })

  test.each([
    'fieldSelector=metadata.name%21%3Dmine',
    'fieldSelector=metadata.name%3Dmine%2Cmetadata.name%3Dalso',
    'fieldSelector=metadata.namespace%3Dmine',
    'fieldSelector=metadata.name%3D..',
    'fieldSelector=metadata.name%3Dmine%252F',
    'fieldSelector=metadata.name',
    'fieldSelector=metadata.name%3Dmine%5Cx',
    'FieldSelector=metadata.name%3Dmine',
    `${MINE}&labelSelector=%28%28%28`,
    `${MINE}&limit=x`,
    'labelSelector=metadata.name%3Dmine',
  ])('a list of secrets with %s is not one of the secret that was granted', async (query) => {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/secrets?${query}` })
    await attacked.expectRefused(answer, FORBIDDEN)
  })

  test('the name counts when the selector says exactly that, and the API server gets the same selector', async () => {
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: `${NAMESPACE}/secrets?${MINE}` }))
    expect(seen.target).toBe(`/api/v1/namespaces/default/secrets?${MINE}`)
  })

  test('other terms beside it only narrow the list', async () => {
    const narrowed = `${MINE}%2Ctype%3DOpaque`
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: `${NAMESPACE}/secrets?${narrowed}` }))
    expect(seen.target).toBe(`/api/v1/namespaces/default/secrets?${narrowed}`)
  })

  test('a delete of all takes no name from its selector', async () => {
    const target = `${SOCKET}/api/v1/namespaces/default/secrets?${MINE}`
    const event = await attacked.expectRefused(await attacked.send(protocol, { method: 'DELETE', target }), FORBIDDEN)
    expect(event.verb).toBe('deletecollection')
  })
})
