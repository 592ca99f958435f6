import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  NAMESPACE,
  namesOf,
  type Refusal,
} from '../support/attacked-gateway.ts'

// Attack B7.
//
// Parsers have lost the lines behind a limit of theirs (CVE-2026-58044, CVE-2024-37890), and with them the one that
// mattered.

const attacked = attackedGateway({ policy: EVERYTHING, limits: { maxHeaderSize: '256KiB' } })

const TOO_LARGE: Refusal = { code: 431, reason: 'BadRequest' }
const COUNTED: Refusal = { ...BAD_REQUEST, message: 'more than 100 header lines' }
const padding = (count: number): string[] => Array.from({ length: count }, (_, i) => `X-${i}: 1`)

describe('over HTTP/1.1', () => {
  test.each([
    [99, COUNTED],
    [150, COUNTED],
    [198, TOO_LARGE],
    [250, TOO_LARGE],
    [999, TOO_LARGE],
    [1_001, TOO_LARGE],
    [5_000, TOO_LARGE],
  ])('%d lines before the one that matters are refused', async (count, refusal) => {
    const lines = [...padding(count), 'Impersonate-User: root']
    const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, lines))
    await attacked.expectRefused(answer, refusal)
  })

  test('as many as are allowed pass, and none of them is sent on', async () => {
    const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, padding(98)))
    expect(namesOf(attacked.expectForwarded(answer))).toEqual(['audit-id', 'authorization', 'host'])
  })

  test('one that is larger than the whole head may be is refused', async () => {
    const head = attacked.head('GET', `${NAMESPACE}/pods`, [`X-A: ${'a'.repeat(300_000)}`])
    await attacked.expectRefused(await attacked.writeOnce(head), TOO_LARGE)
  })
})

describe('over HTTP/2', () => {
  test.each([99, 110])('%d lines before the one that matters are refused', async (count) => {
    const lines = [...padding(count), 'Impersonate-User: root'].map((line) => line.split(': ') as [string, string])
    const answer = await attacked.send('HTTP/2', { target: `${NAMESPACE}/pods`, lines })
    await attacked.expectRefused(answer, COUNTED)
  })

  test.each([150, 1_001])('%d lines reset the stream', async (count) => {
    const lines = [...padding(count), 'Impersonate-User: root'].map((line) => line.split(': ') as [string, string])
    const answer = await attacked.send('HTTP/2', { target: `${NAMESPACE}/pods`, lines })
    expect(answer).toHaveProperty('resetCode')
    expect(attacked.seen).toEqual([])
  })
})

test('the gateway serves on', async () => {
  await attacked.expectServing()
})
