import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'
import { pseudoHeaders } from '../support/http2-frames.ts'

// Attack A8.
//
// NUL ends a string for some, a line break ends a log line, overlong UTF-8 hides a slash.

const attacked = attackedGateway({ policy: EVERYTHING })

const PROTOCOL_ERROR = 1

function credential(): readonly [string, string] {
  return ['authorization', `Bearer ${attacked.gateway.token}`]
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ...['%00', '%01', '%09', '%0A', '%0d%0a', '%1b[2J', '%7F', 'web%00.example'],
    ...['%FF', '%C0%AF', '%c0%ae%c0%ae', '%E0%80%AF', '%ED%A0%80', '%F8%80%80%80%80', '%C3', '%80'],
  ])('a name with %s is refused', async (name) => {
    await attacked.expectRefused(await attacked.send(protocol, { target: `${NAMESPACE}/pods/${name}` }), BAD_REQUEST)
  })

  test.each(['%00', 'metadata.name%3Dweb%00', '%FF', '%C0%AF', '%ED%A0%80'])(
    'a selector with %s is refused',
    async (value) => {
      const target = `${NAMESPACE}/pods?fieldSelector=${value}`
      await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
    },
  )
})

test.each(['\0', '\t', '\v', '\x1b', '\x7f', '\x80', '\xff', 'é', ' ', '\n'])(
  'the raw byte %j in a request line is refused',
  async (byte) => {
    const answer = await attacked.writeOnce(attacked.head('GET', `${NAMESPACE}/pods/a${byte}b`))
    await attacked.expectRefused(answer, BAD_REQUEST)
  },
)

// nghttp2 refuses what no target may hold; what it lets pass is refused here.
test.each(['\0', '\t', '\n', '\r', '\v', '\x1b', '\x7f', ' '])(
  'the raw byte %j in a path of HTTP/2 resets its stream',
  async (byte) => {
    const lines = [...pseudoHeaders(`${NAMESPACE}/pods/a${byte}b`), credential()]
    const { body, resetCode, goAwayCode } = await attacked.sendHeaderBlock(lines)
    expect({ body, code: resetCode ?? goAwayCode }).toEqual({ body: '', code: PROTOCOL_ERROR })
    expect(attacked.seen).toEqual([])
  },
)

test.each(['\x80', '\xff', '\xc3\xa9', '\xc0\xaf'])(
  'the raw bytes %j in a path of HTTP/2 are refused',
  async (bytes) => {
    const lines = [...pseudoHeaders(`${NAMESPACE}/pods/a${bytes}b`), credential()]
    const { body } = await attacked.sendHeaderBlock(lines)
    await attacked.expectStatus(body, BAD_REQUEST)
  },
)

test('no such byte reached the log or the trail', async () => {
  const trail = await readFile(attacked.gateway.auditFile)
  expect(isUtf8(trail)).toBe(true)
  for (const text of [trail.toString(), ...attacked.gateway.log]) {
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
  }
})
