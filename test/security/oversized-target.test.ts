import { describe, expect, test } from 'vitest'
import { cpuStopwatch } from '../support/cpu-stopwatch.ts'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  NAMESPACE,
  PROTOCOLS,
  type Refusal,
  SOCKET,
} from '../support/attacked-gateway.ts'

// Attack A22.
//
// Long paths, thousands of parameters, selectors of thousands of terms, keys that collide in a hash table
// (CVE-2026-21717): each is to cost the sender more than it costs the gateway.

const attacked = attackedGateway({ policy: EVERYTHING })

const TOO_LARGE: Refusal = { code: 431, reason: 'BadRequest' }
const many = (count: number, piece: (i: number) => string, glue = '') =>
  Array.from({ length: count }, (_, i) => piece(i)).join(glue)

const OVER_BOUNDS: [string, string][] = [
  ['a long name', `${NAMESPACE}/pods/${'a'.repeat(40_000)}`],
  ['many segments', SOCKET + many(5_000, () => '/a')],
  ['a few segments too many', SOCKET + many(200, () => '/a')],
  ['many parameters', `${NAMESPACE}/pods?${many(3_000, (i) => `a${i}`, '&')}`],
  ['parameters with keys that collide', `${NAMESPACE}/pods?${many(3_000, (i) => String(i * 65_536), '&')}`],
  ['many equal parameters', `${NAMESPACE}/pods?${many(10_000, () => 'a', '&')}`],
  ['a long query', `${NAMESPACE}/pods?a=${'b'.repeat(40_000)}`],
  ['a query that grows when it is written again', `${NAMESPACE}/pods?a=${'='.repeat(20_000)}`],
]

const WITHIN_BOUNDS: [string, string][] = [
  ['a selector of many terms', `${NAMESPACE}/pods?fieldSelector=${many(1_500, (i) => `a${i}%3Db`, ',')}`],
  ['a selector of many brackets', `${NAMESPACE}/pods?labelSelector=${'%28'.repeat(9_000)}`],
  ['a selector of many escapes', `${NAMESPACE}/pods?fieldSelector=${'%5C'.repeat(9_000)}`],
  ['a selector of many values', `${NAMESPACE}/pods?labelSelector=a+in+%28${many(3_000, (i) => `v${i}`, ',')}%29`],
  ['a long command', `${NAMESPACE}/pods/web/exec?${many(2_000, () => 'command=a', '&')}`],
]

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(OVER_BOUNDS)('%s is refused', async (_, target) => {
    const event = await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
    expect(JSON.stringify(event).length).toBeLessThan(20_000)
  })

  test.each(WITHIN_BOUNDS)('%s takes no time worth speaking of', async (_, target) => {
    const spentMs = cpuStopwatch()
    await attacked.send(protocol, { target })
    expect(spentMs()).toBeLessThan(2_000)
  })
})

test('a head over the bound is refused before it is read to its end', async () => {
  const answer = await attacked.writeOnce(attacked.head('GET', `${NAMESPACE}/pods/${'a'.repeat(100_000)}`))
  await attacked.expectRefused(answer, TOO_LARGE)
})

test('the gateway serves on', async () => {
  await attacked.expectServing()
})
