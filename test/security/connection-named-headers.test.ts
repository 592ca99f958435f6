import { expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, namesOf, valuesOf } from '../support/attacked-gateway.ts'

// Attack B3.
//
// A hop that removes what `Connection` names removes the header that the gateway has added, and the request runs as
// the gateway itself (CVE-2021-31999, CVE-2022-23652, CVE-2024-45410).

const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

test.each([
  ['the name', ['Connection: Impersonate-User']],
  ['the name in other letters', ['connection: IMPERSONATE-USER']],
  ['all that are ours', ['Connection: impersonate-user, impersonate-group, authorization, audit-id, host']],
  ['ours among others', ['Connection: close, keep-alive,,  Impersonate-User ,']],
  ['ours in a second line', ['Connection: keep-alive', 'Connection: Impersonate-User']],
  ['ours by the old name', ['Proxy-Connection: Impersonate-User']],
])('with %s in Connection the subject’s name stays on', async (_, lines) => {
  const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, lines))
  const seen = attacked.expectForwarded(answer)
  expect(valuesOf(seen, 'impersonate-user')).toEqual(['ana@example.com'])
  expect(valuesOf(seen, 'impersonate-group')).toEqual(['payments-dev'])
  expect(valuesOf(seen, 'authorization')).toEqual([`Bearer ${attacked.apiServer.token}`])
  expect(valuesOf(seen, 'audit-id')).toHaveLength(1)
  expect(namesOf(seen)).not.toContain('connection')
  expect(namesOf(seen)).not.toContain('proxy-connection')
})

test('a client’s header that Connection names ends at the gateway', async () => {
  const lines = ['Connection: Accept, User-Agent', 'Accept: text/html', 'User-Agent: kubectl', 'If-Match: x']
  const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, lines))
  const names = namesOf(attacked.expectForwarded(answer))
  expect(names).not.toContain('accept')
  expect(names).not.toContain('user-agent')
  expect(names).toContain('if-match')
})
