import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  FORBIDDEN,
  NAMESPACE,
  PROTOCOLS,
  SOCKET,
} from '../support/attacked-gateway.ts'

// Attack F4.
//
// One request, a megabyte of log: what fills the disk also hides what went before.

const attacked = attackedGateway({
  policy: EVERYTHING.replace('resources: ["*", "*/*"]', 'resources: [pods]'),
  limits: { maxHeaderSize: '1MiB' },
})

const MOST_BYTES_OF_A_LINE = 64 * 1024
const MOST_CHARACTERS_OF_A_LOG_LINE = 4_096

async function longestLine(): Promise<number> {
  const text = await readFile(attacked.gateway.auditFile, 'utf8')
  return Math.max(...text.split('\n').map((line) => Buffer.byteLength(line)))
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('a long user agent is cut and marked', async () => {
    const lines = [['User-Agent', 'u'.repeat(10_000)]] as const
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines })
    const event = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(event.userAgent).toBe(`${'u'.repeat(512)}… (10000 characters)`)
  })

  test('a long target is cut and marked', async () => {
    const target = `${NAMESPACE}/secrets?x=${'y'.repeat(20_000)}`
    const event = await attacked.expectRefused(await attacked.send(protocol, { target }), FORBIDDEN)
    expect(event.requestURI).toHaveLength(16_384 + '… (20044 characters)'.length)
    expect(event.requestURI).toMatch(/y… \(\d+ characters\)$/)
  })

  test('a target over the bound is cut and marked', async () => {
    const target = `${NAMESPACE}/pods/${'y'.repeat(40_000)}`
    const event = await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
    expect(event.requestURI).toMatch(/y… \(\d+ characters\)$/)
  })

  test('long names and paths do not make a long refusal', async () => {
    for (const path of [
      `/api/v1/namespaces/${'n'.repeat(9_000)}/secrets/${'s'.repeat(9_000)}`,
      `/${'p'.repeat(9_000)}`,
    ]) {
      const answer = await attacked.send(protocol, { target: SOCKET + path })
      if ('body' in answer && answer.statusCode === 403) expect(answer.body.length).toBeLessThan(20_000)
      attacked.seen.length = 0
    }
  })
})

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('a name that grows when it is escaped does not make a long line', async () => {
    const name = encodeURIComponent('\u202e'.repeat(1_700))
    const token = await attacked.gateway.issuer.sign({ groups: [] })
    const target = `${SOCKET}/api/v1/namespaces/${name}/secrets/${name}`
    const event = await attacked.expectRefused(await attacked.send(protocol, { target, token }), FORBIDDEN)
    expect(event.objectRef?.['name']).toBe('\u202e'.repeat(1_700))
  })

  test('a long method, Host and command are in no line', async () => {
    const lines = [
      ['Kubectl-Command', 'k'.repeat(9_000)],
      ['X-A', 'k'.repeat(9_000)],
    ] as const
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines })
    const event = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(JSON.stringify(event)).not.toContain('kkkk')
  })

  test('many long names to be are refused', async () => {
    const lines = [
      ['Impersonate-User', 'u'.repeat(9_000)],
      ...Array.from({ length: 60 }, () => ['Impersonate-Group', 'g'.repeat(9_000)] as const),
    ] as const
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines })
    if ('statusCode' in answer) await attacked.expectRefused(answer, FORBIDDEN)
    expect(attacked.seen).toEqual([])
  })
})

test('what an API server says does not fill the log', async () => {
  attacked.apiServer.onRequest = (_request, response) => {
    response.writeHead(302, { Location: `https://evil.example/${'l'.repeat(10_000)}` }).end()
  }
  await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods` })
  await expect.poll(() => attacked.gateway.log.join('')).toContain('evil.example')
  expect(Math.max(...attacked.gateway.log.map((line) => line.length))).toBeLessThan(MOST_CHARACTERS_OF_A_LOG_LINE)
})

test('no line is longer than the bounds of its fields', async () => {
  expect(await longestLine()).toBeLessThan(MOST_BYTES_OF_A_LINE)
})
