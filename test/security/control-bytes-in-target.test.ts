import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// NUL ends a string for some, a line break ends a log line, overlong UTF-8 hides a slash.

const attacked = attackedGateway({ policy: EVERYTHING })

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

test('no such byte reached the log or the trail', async () => {
  const trail = JSON.stringify(await attacked.gateway.events())
  expect(trail + attacked.gateway.log.join('')).not.toMatch(/[^\n -~…]/)
  expect(await readFile(attacked.gateway.auditFile, 'latin1')).not.toMatch(/[^\n -~\xe2\x80\xa6]/)
})
