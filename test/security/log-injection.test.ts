import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Bytes that end a line, a string or a terminal's patience, wherever a client may put bytes (CVE-2025-25294).

const attacked = attackedGateway({ policy: EVERYTHING })

const FORGED_LINE = '{"kind":"Event","user":{"username":"root"},"verb":"delete"}'
const HOSTILE = [
  `\n${FORGED_LINE}\n`,
  `\r\n${FORGED_LINE}`,
  `","user":{"username":"root"},"x":"`,
  '\\","x":"',
  '\\',
  '\u2028\u2029',
  '\u001b[2J\u001b]0;owned\u0007',
  '\u009b2J',
  '\u0085',
  '\u202egnp.exe',
  '\u2066\u200b\ufeff',
  '\u{e0001}\u{e0041}',
  '\u0001\u007f',
]

async function lines(): Promise<string[]> {
  return (await readFile(attacked.gateway.auditFile, 'utf8')).split('\n').slice(0, -1)
}

/** Fails unless every line of trail and log is one JSON object, that shows nothing but text. */
async function expectSoundLines(): Promise<void> {
  for (const line of [...(await lines()), ...attacked.gateway.log.map((text) => text.trimEnd())]) {
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    const event = JSON.parse(line) as Record<string, unknown>
    expect(event['user'] ?? {}).not.toMatchObject({ username: 'root' })
  }
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(HOSTILE)('%j in a parameter is one field of one line', async (text) => {
    const before = (await lines()).length
    const target = `${NAMESPACE}/pods?labelSelector=${encodeURIComponent(text)}`
    const answer = await attacked.send(protocol, { target })
    await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(await lines()).toHaveLength(before + 1)
    await expectSoundLines()
  })

  test.each(HOSTILE)('%j in a header is one field of one line', async (text) => {
    const before = (await lines()).length
    const value = Buffer.from(text)
      .toString('latin1')
      .replaceAll(/[\0-\x08\x0a-\x1f\x7f]/g, '')
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines: [['User-Agent', `x${value}x`]] })
    await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(await lines()).toHaveLength(before + 1)
    await expectSoundLines()
  })

  test.each(['%E2%80%A8', '%E2%80%AE', '%C2%9B2J', '%F3%A0%80%81', '%22%2C%22x%22'])(
    '%s in a path is one field of one line, and not raw in the refusal',
    async (text) => {
      const before = (await lines()).length
      const answer = await attacked.send(protocol, { target: `${SOCKET}/metrics/${text}`, token: null })
      await attacked.expectRefused(answer, { code: 401, reason: 'Unauthorized' })
      expect(await lines()).toHaveLength(before + 1)
      await expectSoundLines()
    },
  )
})

test('an API server’s words are one field of one line', async () => {
  attacked.apiServer.onRequest = (_request, response) => {
    response.writeHead(302, { Location: 'https://evil.example/\u009b2J"\\\u00ad' }).end()
  }
  await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods` })
  await expect.poll(() => attacked.gateway.log.join('')).toContain('evil.example')
  await expectSoundLines()
})
