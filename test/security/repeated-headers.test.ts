import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  NAMESPACE,
  namesOf,
  type Refusal,
  UNAUTHORIZED,
} from '../support/attacked-gateway.ts'
import { pseudoHeaders } from '../support/http2-frames.ts'

// Attacks B6, C16.
//
// Of two lines of one name servers take the first, the last or both: what is checked is not what is obeyed. Names
// that differ only in case are one name (CVE-2026-1525).

const attacked = attackedGateway({ policy: EVERYTHING })

async function refused(lines: readonly string[], refusal: Refusal, body = ''): Promise<void> {
  const method = body === '' ? 'GET' : 'POST'
  const head = attacked.head(method, `${NAMESPACE}/pods`, lines)
  await attacked.expectRefused(await attacked.writeForOne(head + body), refusal)
}

test.each([
  ['Host', ['Host: evil.example']],
  ['Host in other letters', ['HOST: localhost']],
  ['Content-Type', ['Content-Type: application/json', 'content-type: application/yaml']],
  ['User-Agent', ['User-Agent: kubectl', 'user-agent: root']],
  ['Kubectl-Command', ['Kubectl-Command: a', 'Kubectl-Command: b']],
  ['Expect', ['Expect: 100-continue', 'Expect: 100-continue']],
  ['Origin', ['Origin: https://a.example', 'Origin: https://b.example']],
  ['Traceparent', ['Traceparent: 00-a', 'traceparent: 00-b']],
])('a repeated %s is refused', async (_, lines) => {
  await refused(lines, BAD_REQUEST)
})

describe('a repeated Authorization', () => {
  test.each([
    ['with another token', () => ['Authorization: Bearer eyJ.eyJ.x']],
    ['with the same token', () => [`authorization: Bearer ${attacked.gateway.token}`]],
    ['that is empty', () => ['AUTHORIZATION:']],
    ['that is Basic', () => ['Authorization: Basic YTpi']],
  ])('%s is refused', async (_, lines) => {
    await refused(lines(), UNAUTHORIZED)
  })

  test('is refused over HTTP/2', async () => {
    const credential = ['authorization', `Bearer ${attacked.gateway.token}`] as const
    const lines = [...pseudoHeaders(`${NAMESPACE}/pods`), credential, credential]
    const { body } = await attacked.sendHeaderBlock(lines)
    await attacked.expectStatus(body, UNAUTHORIZED)
  })
})

test.each([
  ['equal', ['Content-Length: 2', 'Content-Length: 2']],
  ['unequal', ['Content-Length: 2', 'Content-Length: 3']],
  ['in other letters', ['Content-Length: 2', 'content-length: 2']],
  ['in one line', ['Content-Length: 2, 2']],
])('two lengths, %s, are refused', async (_, lines) => {
  await refused(lines, BAD_REQUEST, '{}')
})

test('what may be repeated is sent on line by line, each name once spelled', async () => {
  const lines = ['accept: application/json', 'ACCEPT: application/yaml', 'if-none-match: "a"']
  const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, lines))
  const seen = attacked.expectForwarded(answer)
  expect(namesOf(seen)).toEqual(['accept', 'accept', 'audit-id', 'authorization', 'host', 'if-none-match'])
  expect(seen.rawHeaders.filter((_, i) => i % 2 === 0)).not.toContain('ACCEPT')
})
