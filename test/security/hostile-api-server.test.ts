import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_GATEWAY, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attack C13.
//
// An API server, or somebody in its place, that answers what is no HTTP: the gateway is to lose that connection and
// nothing else (CVE-2026-2229).

const attacked = attackedGateway({ policy: EVERYTHING })

const PODS = `${NAMESPACE}/pods`
const OK = 'HTTP/1.1 200 OK\r\n'

function answerWith(bytes: string): void {
  attacked.apiServer.onRequest = (request) => {
    request.socket.write(Buffer.from(bytes, 'latin1'))
  }
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['length and chunks', `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ['chunks of another kind', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a NUL in a value', `${OK}X-A: a\0b\r\nContent-Length: 0\r\n\r\n`],
    ['a line break in a value', `${OK}X-A: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n`],
    ['a folded line', `${OK}X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
    ['a space before a colon', `${OK}Content-Length : 0\r\n\r\n`],
    ['a 101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
    ['a code out of range', 'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n'],
    ['a thousand header lines', `${OK}${'X-A: b\r\n'.repeat(1_000)}\r\n`],
    ['a head without end', `${OK}${`X-A: ${'b'.repeat(1_000)}\r\n`.repeat(2_000)}`],
    ['interim answers without end', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(10_000)],
  ])('%s is a 502', async (_, bytes) => {
    answerWith(bytes)
    const answer = await attacked.send(protocol, { target: PODS })
    attacked.forget()
    await attacked.expectRefused(answer, BAD_GATEWAY)
    expect(JSON.stringify(answer)).not.toMatch(/127\.0\.0\.1|SSH|Set-Cookie/)
    await attacked.expectServing()
  })

  test('a body that is longer than it was announced does not become the next answer', async () => {
    const target = `${PODS}/next`
    answerWith(`${OK}Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`)
    expect(await attacked.send(protocol, { target: PODS })).toMatchObject({ statusCode: 200, body: '{}' })
    attacked.forget()
    expect(await attacked.send(protocol, { target })).toMatchObject({ statusCode: 200, body: '{"items":[]}' })
  })

  test('a body that breaks off never looks whole', async () => {
    attacked.apiServer.onRequest = (request) => {
      request.socket.end(`${OK}Content-Length: 100\r\n\r\n{"items":[`)
    }
    const end = await attacked.send(protocol, { target: PODS }).catch(() => 'broken off')
    if (protocol === 'HTTP/1.1') expect(end).toEqual({ resetCode: 0 })
    else expect(end).toMatchObject({ body: '{"items":[', resetCode: 2 })
  })
})

test('a value that no header may hold does not reach a client as two', async () => {
  answerWith(`${OK}X-A: caf\xe9\r\nWarning: 299 - "\x80"\r\nContent-Length: 2\r\n\r\n{}`)
  const { statusCode, headers, body } = await attacked.writeForOne(attacked.head('GET', PODS))
  expect({ statusCode, body }).toEqual({ statusCode: 200, body: '{}' })
  expect(headers['x-a']).toBe('caf\xe9')
})
