import { afterEach, describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attacks C1, C2, C3.
//
// Two servers that disagree where a request ends: the rest of the body is a request of its own to the second, in the
// name of whoever comes next (CVE-2020-8287, CVE-2022-32213, CVE-2022-32214, CVE-2022-32215, CVE-2022-35256,
// CVE-2023-30589, CVE-2024-27982, CVE-2025-23167).

const attacked = attackedGateway({ policy: EVERYTHING })

const PODS = `${NAMESPACE}/pods`
const SMUGGLED = 'GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n'
const CHUNKS = `0\r\n\r\n${SMUGGLED}`

function post(lines: readonly string[], body: string): string {
  return attacked.head('POST', PODS, lines) + body
}

afterEach(async () => {
  expect(attacked.seen).toEqual([])
  await attacked.expectServing()
})

describe('refused is', () => {
  test.each([
    ['a length and chunks', ['Content-Length: 6', 'Transfer-Encoding: chunked']],
    ['chunks and a length', ['Transfer-Encoding: chunked', 'Content-Length: 6']],
    ['a length and chunks in other letters', ['content-length: 6', 'TRANSFER-ENCODING: chunked']],
    ['two lengths', ['Content-Length: 6', 'Content-Length: 0']],
    ['two equal lengths', ['Content-Length: 6', 'Content-Length: 6']],
    ['two lengths in one', ['Content-Length: 6, 6']],
    ['a negative length', ['Content-Length: -6']],
    ['a length with a sign', ['Content-Length: +6']],
    ['a length in hexadecimal', ['Content-Length: 0x6']],
    ['a length with a space in it', ['Content-Length: 1 6']],
    ['a length with a unit', ['Content-Length: 6b']],
    ['a length without digits', ['Content-Length: ']],
    ['a length past counting', ['Content-Length: 18446744073709551622']],
    ['a length too long to count exactly', ['Content-Length: 0000000000000006']],
    ['chunks after identity', ['Transfer-Encoding: identity, chunked']],
    ['chunks before identity', ['Transfer-Encoding: chunked, identity']],
    ['chunks after gzip', ['Transfer-Encoding: gzip, chunked']],
    ['chunks twice', ['Transfer-Encoding: chunked, chunked']],
    ['chunks on two lines', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['identity on a second line', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity']],
    ['something like chunks', ['Transfer-Encoding: xchunked']],
    ['chunks in other letters', ['Transfer-Encoding: Chunked']],
    ['chunks with a parameter', ['Transfer-Encoding: chunked;q=1']],
    ['chunks in quotes', ['Transfer-Encoding: "chunked"']],
    ['chunks behind a comma', ['Transfer-Encoding: ,chunked']],
    ['chunks behind a vertical tab', ['Transfer-Encoding: \x0bchunked']],
    ['chunks before a NUL', ['Transfer-Encoding: chunked\0']],
    ['identity alone', ['Transfer-Encoding: identity']],
    ['a space before the colon', ['Transfer-Encoding : chunked']],
    ['a tab before the colon', ['Transfer-Encoding\t: chunked']],
    ['a folded line', ['Transfer-Encoding:\r\n chunked']],
    ['a folded line with a tab', ['X: y\r\n\tTransfer-Encoding: chunked']],
    ['a line that begins with a space', [' Transfer-Encoding: chunked']],
    ['a line that ends in LF alone', ['X: y\nTransfer-Encoding: chunked']],
    ['a line that ends in CR alone', ['X: y\rTransfer-Encoding: chunked']],
    ['a header without a colon', ['Transfer-Encoding chunked']],
    ['an underscore', ['Transfer_Encoding: chunked', 'Content-Length: 5']],
    ['a body that is compressed', ['Content-Encoding: gzip', 'Content-Length: 5']],
  ])('%s', async (_, lines) => {
    await attacked.expectRefused(await attacked.writeOnce(post(lines, CHUNKS)), BAD_REQUEST)
  })

  test.each([
    ['a GET', 'GET', ['Content-Length: 5'], '0\r\n\r\n'],
    ['a HEAD', 'HEAD', ['Content-Length: 5'], '0\r\n\r\n'],
    ['a GET with chunks', 'GET', ['Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ])('the body of %s', async (_, method, lines, body) => {
    const { answers, ended } = await attacked.write(attacked.head(method, PODS, lines) + body + SMUGGLED, { method })
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([400])
    expect(ended).toBe(true)
    for (const answer of answers) if (method !== 'HEAD') await attacked.expectRefused(answer, BAD_REQUEST)
  })

  test.each(PROTOCOLS)('the body of a GET over %s', async (protocol) => {
    const request = { target: PODS, body: SMUGGLED }
    await attacked.expectRefused(await attacked.send(protocol, request), BAD_REQUEST)
  })
})

describe.each([
  ['a length', [`Content-Length: ${SMUGGLED.length}`], SMUGGLED],
  ['chunks', ['Transfer-Encoding: chunked'], `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`],
] as const)('a DELETE whose body, with %s, looks like a request', (_, lines, body) => {
  test('is one request, and the one behind it gets its own answer', async () => {
    const bodies: string[] = []
    attacked.apiServer.onRequest = (request, response) => {
      request.setEncoding('latin1').on('data', (text: string) => bodies.push(text))
      request.once('end', () => response.end(request.url?.split('/').at(-1)))
    }
    const bytes = attacked.head('DELETE', `${PODS}/web`, lines) + body + attacked.head('GET', `${PODS}/probe`)
    const { answers } = await attacked.write(bytes, { answers: 2 })
    expect(answers.map(({ statusCode, body: text }) => `${statusCode} ${text}`)).toEqual(['200 web', '200 probe'])
    expect(attacked.seen.map(({ method }) => method)).toEqual(['DELETE', 'GET'])
    expect(bodies.join('')).toBe(SMUGGLED)
    attacked.forget()
  })
})

describe('chunks are refused with', () => {
  test.each([
    ['a length that is no number', 'z\r\n'],
    ['a negative length', '-1\r\n'],
    ['a length with a prefix', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a length with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
    ['a length behind a space', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['a length past counting', 'ffffffffffffffff1\r\nhello\r\n0\r\n\r\n'],
    ['an end in LF alone', '5\nhello\r\n0\r\n\r\n'],
    ['an end in CR alone', '5\rhello\r\n0\r\n\r\n'],
    ['more than was announced', '4\r\nhello\r\n0\r\n\r\n'],
    ['less than was announced', '6\r\nhello\r\n0\r\n\r\n'],
    ['no end of the data', '5\r\nhello0\r\n\r\n'],
    ['an extension with LF in it', '5;a=b\nc\r\nhello\r\n0\r\n\r\n'],
    ['an extension with CR in it', '5;a=b\rc\r\nhello\r\n0\r\n\r\n'],
    ['an extension of NUL', '5;\0\r\nhello\r\n0\r\n\r\n'],
    ['a trailer without a colon', '5\r\nhello\r\n0\r\nX\r\n\r\n'],
  ])('%s', async (_, chunks) => {
    const whole: string[] = []
    attacked.apiServer.onRequest = (request) => {
      request.on('error', () => undefined).resume()
      request.once('end', () => whole.push(request.url ?? ''))
    }
    const { answers, rest, ended } = await attacked.write(post(['Transfer-Encoding: chunked'], chunks + SMUGGLED))
    expect({ answers, rest, ended }).toEqual({ answers: [], rest: '', ended: true })
    // Of the request that broke off the head may have gone on; nothing makes it whole, and nothing comes behind it.
    expect(attacked.seen.filter(({ target }) => target !== '/api/v1/namespaces/default/pods')).toEqual([])
    expect(whole).toEqual([])
    attacked.forget()
  })
})

test('a body in sound chunks is sent on in chunks of our own, without extensions and trailers', async () => {
  const bodies: string[] = []
  attacked.apiServer.onRequest = (request, response) => {
    request.setEncoding('latin1').on('data', (text: string) => bodies.push(text))
    request.once('end', () => {
      bodies.push(JSON.stringify(request.rawTrailers))
      response.end('{"items":[]}')
    })
  }
  const lines = ['Transfer-Encoding: chunked', 'Trailer: X-Remote-User', 'TE: trailers']
  const chunks = '5;a=b\r\nhello\r\n3\r\n!!!\r\n0\r\nX-Remote-User: root\r\n\r\n'
  const seen = attacked.expectForwarded(await attacked.writeForOne(post(lines, chunks)))
  expect(bodies.join('')).toBe('hello!!![]')
  expect(seen.rawHeaders.join()).not.toMatch(/trailer|root|\bTE\b/i)
  attacked.forget()
})
