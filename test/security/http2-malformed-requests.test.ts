import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  METHOD_NOT_ALLOWED,
  NAMESPACE,
  NOT_FOUND,
  namesOf,
  type Refusal,
} from '../support/attacked-gateway.ts'
import { pseudoHeaders } from '../support/http2-frames.ts'

// Attacks A11, B3, C6, C9, C10.
//
// What HTTP/2 frames as one value, HTTP/1.1 frames as lines: a line break in a value, a `Transfer-Encoding`, a path
// with a space would each be a request more on the connection behind.

const attacked = attackedGateway({ policy: EVERYTHING })

const PODS = `${NAMESPACE}/pods`
const PROTOCOL_ERROR = 1

type Lines = readonly (readonly [string, string])[]

function withCredential(lines: Lines): Lines {
  return [...lines, ['authorization', `Bearer ${attacked.gateway.token}`]]
}

function pseudo(changes: Readonly<Record<string, string | undefined>>): Lines {
  const changed = pseudoHeaders(PODS).map(([name]) => name in changes)
  return [
    ...pseudoHeaders(PODS).flatMap(([name, value], i) => (changed[i] === true ? [] : [[name, value] as const])),
    ...Object.entries(changes).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  ]
}

describe('the stream is reset for', () => {
  test.each<[string, Lines]>([
    ['capitals in a name', [...pseudoHeaders(PODS), ['Accept', 'a']]],
    ['Connection', [...pseudoHeaders(PODS), ['connection', 'impersonate-user']]],
    ['Keep-Alive', [...pseudoHeaders(PODS), ['keep-alive', 'timeout=5']]],
    ['Proxy-Connection', [...pseudoHeaders(PODS), ['proxy-connection', 'keep-alive']]],
    ['Transfer-Encoding', [...pseudoHeaders(PODS, 'POST'), ['transfer-encoding', 'chunked']]],
    ['Upgrade', [...pseudoHeaders(PODS), ['upgrade', 'websocket']]],
    ['TE of more than trailers', [...pseudoHeaders(PODS), ['te', 'chunked']]],
    ['a pseudo header behind another', [...pseudoHeaders(PODS), ['accept', 'a'], [':path', '/x']]],
    ['two paths', [...pseudoHeaders(PODS), [':path', '/x']]],
    ['two methods', [...pseudoHeaders(PODS), [':method', 'DELETE']]],
    ['two authorities', [...pseudoHeaders(PODS), [':authority', 'x']]],
    ['an unknown pseudo header', [...pseudoHeaders(PODS), [':impersonate-user', 'root']]],
    ['a status', [...pseudoHeaders(PODS), [':status', '200']]],
    ['no path', pseudo({ ':path': undefined })],
    ['an empty path', pseudo({ ':path': '' })],
    ['no method', pseudo({ ':method': undefined })],
    ['no scheme', pseudo({ ':scheme': undefined })],
    ['a method with a space', pseudo({ ':method': 'GET /x HTTP/1.1' })],
    ['a path with a space', pseudo({ ':path': `${PODS} HTTP/1.1` })],
    ['a path with a line break', pseudo({ ':path': `${PODS}\r\nx: y` })],
    ['a path in absolute form', pseudo({ ':path': 'https://evil.example/' })],
    ['a path without a slash', pseudo({ ':path': 'sockets/production' })],
    ['a path that is a star', pseudo({ ':path': '*' })],
    ['an authority with a space', pseudo({ ':authority': 'a b' })],
    ['a length that is not one', [...pseudoHeaders(PODS), ['content-length', '+5']]],
    ['two lengths', [...pseudoHeaders(PODS), ['content-length', '0'], ['content-length', '0']]],
    ['a length without a body', [...pseudoHeaders(PODS, 'POST'), ['content-length', '5']]],
    ['no authority', pseudo({ ':authority': undefined })],
    ['a Host that is given twice', [...pseudoHeaders(PODS), ['host', 'localhost'], ['host', 'localhost']]],
    ['an extended CONNECT', [...pseudo({ ':method': 'CONNECT' }), [':protocol', 'websocket']]],
    ['a CONNECT with a path', pseudo({ ':method': 'CONNECT' })],
  ])('%s', async (_, lines) => {
    const { body, resetCode, goAwayCode } = await attacked.sendHeaderBlock(withCredential(lines))
    expect({ body, code: resetCode ?? goAwayCode }).toEqual({ body: '', code: PROTOCOL_ERROR })
    expect(attacked.seen).toEqual([])
  })
})

describe('the gateway itself refuses', () => {
  test.each<[string, Lines, Refusal]>([
    [
      'a CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'evil.example:443'],
      ],
      NOT_FOUND,
    ],
    ['a method in lower case', pseudo({ ':method': 'get' }), METHOD_NOT_ALLOWED],
    ['an authority that Host contradicts', [...pseudoHeaders(PODS), ['host', 'evil.example']], BAD_REQUEST],
    ['a Host instead of the authority', [...pseudo({ ':authority': undefined }), ['host', 'localhost']], BAD_REQUEST],
    ['raw UTF-8 in a path', pseudo({ ':path': `${PODS}/\xc3\xa9` }), BAD_REQUEST],
    ['a body that is compressed', [...pseudoHeaders(PODS), ['content-encoding', 'gzip']], BAD_REQUEST],
    ['an underscore in a name', [...pseudoHeaders(PODS), ['impersonate_user', 'root']], BAD_REQUEST],
    ['an Expect that it does not know', [...pseudoHeaders(PODS), ['expect', 'x']], BAD_REQUEST],
  ])('%s', async (_, lines, refusal) => {
    const { body } = await attacked.sendHeaderBlock(withCredential(lines))
    await attacked.expectStatus(body, refusal)
  })
})

// nghttp2 leaves such lines out, which RFC 9113 section 8.2.1 has refused; nothing of them gets any further.
test.each([
  ['a line break in a value', 'if-match', 'a\r\nimpersonate-user: root'],
  ['a line feed in a value', 'if-match', 'a\nb'],
  ['a NUL in a value', 'if-match', 'a\0b'],
  ['a line break in a name', 'if-match\r\nx', 'a'],
  ['a colon in a name', 'if-match:x', 'a'],
  ['a space in a name', 'if-match x', 'a'],
  ['an empty name', '', 'a'],
  ['a space behind the name of a header of ours', 'impersonate-user ', 'root'],
  ['a NUL in the value of a header of ours', 'impersonate-user', 'root\0'],
])('a line with %s is not there', async (_, name, value) => {
  const { body } = await attacked.sendHeaderBlock(withCredential([...pseudoHeaders(PODS), [name, value]]))
  expect(body).toBe('{"items":[]}')
  expect(attacked.seen.map(namesOf)).toEqual([['audit-id', 'authorization', 'host']])
  expect(JSON.stringify(attacked.seen)).not.toContain('root')
})

test('a Host that agrees with the authority changes nothing', async () => {
  const { body } = await attacked.sendHeaderBlock(withCredential([...pseudoHeaders(PODS), ['host', 'LOCALHOST']]))
  expect(body).toBe('{"items":[]}')
  expect(attacked.seen).toHaveLength(1)
})
