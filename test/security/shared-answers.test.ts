import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack C7.
//
// A cache or a single flight that forgets who asked gives one person's answer, or one person's right, to the next.

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: readers }
spec:
  subjects: { users: [ana@example.com] }
  rules:
  - { verbs: [get, list], resources: [pods] }
`,
})

const PODS = `${SOCKET}/api/v1/namespaces/default/pods`

function tokenOf(name: string): Promise<string> {
  return attacked.gateway.issuer.sign({ sub: name, email: `${name}@example.com`, groups: [] })
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('what one person may do another may not, in whatever order they ask', async () => {
    const [ana, bo] = await Promise.all([tokenOf('ana'), tokenOf('bo')])
    for (const turn of [1, 2, 3]) {
      const allowed = await attacked.send(protocol, { target: PODS, token: ana })
      expect(allowed, `turn ${turn}`).toMatchObject({ statusCode: 200 })
      attacked.seen.length = 0
      await attacked.expectRefused(await attacked.send(protocol, { target: PODS, token: bo }), FORBIDDEN)
    }
  })

  test('each of many who ask for the same at once gets an answer of their own', async () => {
    let count = 0
    attacked.apiServer.onRequest = (_request, response) => {
      response.writeHead(200, { 'Cache-Control': 'public, max-age=3600', ETag: '"a"' }).end(String((count += 1)))
    }
    const ana = await tokenOf('ana')
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => attacked.send(protocol, { target: PODS, token: ana })),
    )
    const bodies = answers.map((answer) => ('body' in answer ? answer.body : ''))
    expect(new Set(bodies).size).toBe(20)
    expect(attacked.seen).toHaveLength(20)
  })

  test('a token that differs in one character is not the one before', async () => {
    const ana = await tokenOf('ana')
    expect(await attacked.send(protocol, { target: PODS, token: ana })).toMatchObject({ statusCode: 200 })
    attacked.seen.length = 0
    const at = ana.lastIndexOf('.') + 5
    const forged = ana.slice(0, at) + (ana[at] === 'A' ? 'B' : 'A') + ana.slice(at + 1)
    const answer = await attacked.send(protocol, { target: PODS, token: forged })
    await attacked.expectRefused(answer, { code: 401, reason: 'Unauthorized' })
  })
})
