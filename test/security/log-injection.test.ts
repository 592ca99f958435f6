import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  FORBIDDEN,
  METHOD_NOT_ALLOWED,
  NAMESPACE,
  PROTOCOLS,
  SOCKET,
} from '../support/attacked-gateway.ts'

// Attack F3.
//
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

// Unlike a parameter, these stand decoded in the event: in `objectRef`, in the sentence of the refusal, in the user.
const DECODED = ['","x":"', '\u2028', '\u202egnp.exe', '\u009b2J', '\u0085', '\u{e0041}', '\u200b\ufeff']

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(DECODED)('%j as the name of an object is that name', async (name) => {
    const before = (await lines()).length
    const target = `${NAMESPACE}/pods/${encodeURIComponent(name)}`
    const answer = await attacked.send(protocol, { target })
    const event = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(event.objectRef).toMatchObject({ resource: 'pods', namespace: 'default', name })
    expect(await lines()).toHaveLength(before + 1)
    await expectSoundLines()
  })

  test.each(DECODED)('%j in a refusal is quoted there, and one field here', async (text) => {
    const before = (await lines()).length
    const token = await attacked.gateway.issuer.sign({ groups: [] })
    const target = `${SOCKET}/api/v1/namespaces/${encodeURIComponent(text)}/pods/${encodeURIComponent(text)}`
    await attacked.expectRefused(await attacked.send(protocol, { target, token }), FORBIDDEN)
    expect(await lines()).toHaveLength(before + 1)
    await expectSoundLines()
  })

  test.each(DECODED)('%j as somebody to be is refused, and one field', async (text) => {
    const before = (await lines()).length
    const value = Buffer.from(`x${text}x`).toString('latin1')
    const request = { target: `${NAMESPACE}/pods`, lines: [['Impersonate-User', value]] as const }
    await attacked.expectRefused(await attacked.send(protocol, request), FORBIDDEN)
    expect(await lines()).toHaveLength(before + 1)
    await expectSoundLines()
  })

  test('groups and names that are pieces of JSON are groups and names', async () => {
    const groups = ['payments-dev', '"],"user":{"username":"root"},"x":["', '\\', '{}']
    const token = await attacked.gateway.issuer.sign({ email: 'ana"\\{}@example.com', groups })
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, token })
    const event = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
    expect(event.user).toMatchObject('statusCode' in answer && answer.statusCode === 200 ? { groups } : {})
    await expectSoundLines()
  })
})

test.each(['GET\t', 'G"},{"', 'GET\\'])('the method %j is no piece of a line', async (method) => {
  await attacked.expectRefused(await attacked.writeOnce(attacked.head(method, `${NAMESPACE}/pods`)), BAD_REQUEST)
  await expectSoundLines()
})

test('a method that HTTP/2 lets pass is no verb of an event', async () => {
  const answer = await attacked.send('HTTP/2', { method: "GET'*`|~", target: `${NAMESPACE}/pods` })
  const event = await attacked.expectRefused(answer, METHOD_NOT_ALLOWED)
  expect(event.verb).toBe('')
  await expectSoundLines()
})

test.each(['X: y\nGET', 'X: y\r\n\tz', '\n{"kind":"Event"}'])('the lines %j make one line', async (text) => {
  const before = (await lines()).length
  await attacked.expectRefused(await attacked.writeOnce(attacked.head('GET', `${NAMESPACE}/pods`, [text])), BAD_REQUEST)
  expect(await lines()).toHaveLength(before + 1)
  await expectSoundLines()
})

test('an API server’s words are one field of one line', async () => {
  attacked.apiServer.onRequest = (_request, response) => {
    response.writeHead(302, { Location: 'https://evil.example/\u009b2J"\\\u00ad' }).end()
  }
  await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods` })
  await expect.poll(() => attacked.gateway.log.join('')).toContain('evil.example')
  await expectSoundLines()
})
