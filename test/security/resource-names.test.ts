import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack H4.
//
// A rule that names objects, and requests that name none or name one beside others.

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: one-secret }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: [secrets, "secrets/*"], namespaces: [default], resourceNames: [db] }
`,
})

const SECRETS = `${SOCKET}/api/v1/namespaces/default/secrets`

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['GET', SECRETS],
    ['GET', `${SECRETS}/`],
    ['GET', `${SECRETS}?watch=1`],
    ['GET', `${SECRETS}?limit=1`],
    ['GET', `${SECRETS}?labelSelector=metadata.name%3Ddb`],
    ['GET', `${SECRETS}?fieldSelector=metadata.name%3Ddb2`],
    ['GET', `${SECRETS}?fieldSelector=metadata.name%21%3Dx`],
    ['GET', `${SECRETS}?metadata.name=db`],
    ['GET', `${SECRETS}?name=db`],
    ['POST', SECRETS],
    ['POST', `${SECRETS}?fieldSelector=metadata.name%3Ddb`],
    ['DELETE', SECRETS],
    ['DELETE', `${SECRETS}?fieldSelector=metadata.name%3Ddb`],
    ['PUT', SECRETS],
    ['PATCH', SECRETS],
    ['GET', `${SECRETS}/web`],
    ['GET', `${SECRETS}/DB`],
    ['GET', `${SECRETS}/db2`],
    ['GET', `${SECRETS}/xdb`],
    ['GET', `${SECRETS}/web/db`],
    ['GET', `${SOCKET}/api/v1/secrets/db`],
    ['GET', `${SOCKET}/api/v1/namespaces/other/secrets/db`],
    ['GET', `${SOCKET}/api/v1/watch/namespaces/default/secrets`],
  ])('%s %s is not of that object', async (method, target) => {
    await attacked.expectRefused(await attacked.send(protocol, { method, target }), FORBIDDEN)
  })

  test.each([
    ['GET', `${SECRETS}/db`],
    ['DELETE', `${SECRETS}/db`],
    ['GET', `${SECRETS}?fieldSelector=metadata.name%3Ddb`],
    ['GET', `${SECRETS}?fieldSelector=metadata.name%3Ddb&watch=1`],
  ])('%s %s is', async (method, target) => {
    const seen = attacked.expectForwarded(await attacked.send(protocol, { method, target }))
    expect(seen).toMatchObject({ method, target: target.slice(SOCKET.length) })
  })
})
