import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, FORBIDDEN, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attacks G4, G5, H14.
//
// A list, a watch or a table shows what a get shows. Whoever may not get secrets gets them another way where those are
// granted or forgotten.

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: no-secrets }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: ["*"] }
  - { effect: deny, verbs: [get], resources: [secrets] }
  - { effect: deny, verbs: [list, watch], resources: [configmaps], resourceNames: [aws-auth] }
`,
})

const SECRETS = `${SOCKET}/api/v1/namespaces/default/secrets`
const CONFIG_MAPS = `${SOCKET}/api/v1/namespaces/kube-system/configmaps`
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const METADATA = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([TABLE, METADATA, 'application/vnd.kubernetes.protobuf', '*/*'])('a get as %s is a get', async (accept) => {
    const lines = [['Accept', accept]] as const
    for (const query of ['', '?includeObject=None', '?pretty=true', '?watch=true', '?resourceVersion=0']) {
      const answer = await attacked.send(protocol, { target: `${SECRETS}/db${query}`, lines })
      await attacked.expectRefused(answer, FORBIDDEN)
    }
  })

  test.each(['HEAD'])('a %s is a get', async (method) => {
    expect(await attacked.send(protocol, { method, target: `${SECRETS}/db` })).toMatchObject({ statusCode: 403 })
    expect(attacked.seen).toEqual([])
  })

  test.each([
    CONFIG_MAPS,
    `${CONFIG_MAPS}?watch=true`,
    `${CONFIG_MAPS}?fieldSelector=metadata.name%3Daws-auth`,
    `${CONFIG_MAPS}?limit=1&continue=abc`,
    `${CONFIG_MAPS}?resourceVersion=0&resourceVersionMatch=Exact`,
    `${CONFIG_MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    `${SOCKET}/api/v1/configmaps`,
    `${SOCKET}/api/v1/watch/configmaps`,
    `${SOCKET}/api/v1/watch/namespaces/kube-system/configmaps/aws-auth`,
  ])('%s shows what is denied, and is denied', async (target) => {
    for (const accept of [TABLE, METADATA, 'application/json']) {
      const answer = await attacked.send(protocol, { target, lines: [['Accept', accept]] })
      await attacked.expectRefused(answer, FORBIDDEN)
    }
  })

  test('each page of a list is authorized by itself', async () => {
    for (const target of [`${SECRETS}/db?continue=abc&limit=1`, `${SECRETS}/db?dryRun=All`]) {
      await attacked.expectRefused(await attacked.send(protocol, { target }), FORBIDDEN)
    }
    const twice = `${SECRETS}?continue=a&continue=b`
    await attacked.expectRefused(await attacked.send(protocol, { target: twice }), BAD_REQUEST)
  })
})

describe('the right to one form is no right to another', () => {
  const only = (verb: string): string => `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: ${verb}-only }
spec:
  subjects: { groups: [${verb}-only] }
  rules:
  - { verbs: [${verb}], resources: [secrets] }
`
  const narrow = attackedGateway({ policy: ['get', 'list', 'watch'].map(only).join('---\n') })
  const FORMS = [
    ['get', `${SECRETS}/db`],
    ['list', SECRETS],
    ['list', `${SECRETS}?limit=1&continue=abc`],
    ['list', `${SECRETS}?fieldSelector=metadata.name%3Ddb`],
    ['list', `${SOCKET}/api/v1/secrets`],
    ['watch', `${SECRETS}?watch=1`],
    ['watch', `${SECRETS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan`],
    ['watch', `${SOCKET}/api/v1/watch/namespaces/default/secrets/db`],
  ] as const

  describe.each(PROTOCOLS)('over %s', (protocol) => {
    test.each(FORMS)('%s: %s', async (verb, target) => {
      for (const accept of [TABLE, METADATA, 'application/json']) {
        for (const granted of ['get', 'list', 'watch']) {
          const token = await narrow.gateway.issuer.sign({ groups: [`${granted}-only`] })
          const answer = await narrow.send(protocol, { target, token, lines: [['Accept', accept]] })
          if (granted === verb) expect(narrow.expectForwarded(answer).target).toBe(target.slice(SOCKET.length))
          else expect((await narrow.expectRefused(answer, FORBIDDEN)).verb).toBe(verb)
          narrow.forget()
        }
      }
    })
  })
})
