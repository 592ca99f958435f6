import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, PROTOCOLS, valuesOf } from '../support/attacked-gateway.ts'

// Attack B15.
//
// What a client says of itself must neither pass for what the gateway knows nor break out of its field.

const attacked = attackedGateway({ policy: EVERYTHING })

const PODS = `${NAMESPACE}/pods`
const FORGED = '00000000-0000-4000-8000-000000000000'

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(['Audit-ID', 'audit-id', 'AUDIT-ID'])(
    '%s is ours, in the answer, upstream and in the trail',
    async (name) => {
      const lines = [
        [name, FORGED],
        [name, 'another'],
      ] as const
      const answer = await attacked.send(protocol, { target: PODS, lines })
      const seen = attacked.expectForwarded(answer)
      const [auditId = '', ...more] = valuesOf(seen, 'audit-id')
      expect(more).toEqual([])
      expect(auditId).not.toBe(FORGED)
      expect(answer).toMatchObject({ headers: { 'audit-id': auditId } })
      expect((await attacked.eventOf(auditId)).auditID).toBe(auditId)
      expect(JSON.stringify(await attacked.gateway.events())).not.toContain(FORGED)
    },
  )

  test('a user agent that is a piece of JSON stays a user agent', async () => {
    const userAgent = 'kubectl","user":{"username":"root"},"x":"\\'
    const answer = await attacked.send(protocol, { target: PODS, lines: [['User-Agent', userAgent]] })
    attacked.expectForwarded(answer)
    const event = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(event.userAgent).toBe(userAgent)
    expect(event.user.username).toBe('ana@example.com')
  })

  test('kubectl’s word for its command is sent on and decides nothing', async () => {
    const lines = [['Kubectl-Command', 'kubectl auth whoami']] as const
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: PODS, lines }))
    expect(valuesOf(seen, 'kubectl-command')).toEqual(['kubectl auth whoami'])
  })
})
