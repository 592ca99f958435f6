import { describe, expect, test } from 'vitest'
import { MalformedResponse, MAX_HEADER_LINES, parseResponseHead } from './response-head.ts'

const head = (...lines: string[]): string => lines.map((line) => `${line}\r\n`).join('')

describe('the head of a response', () => {
  test('gives status, headers in wire order and framing', () => {
    const text = head(
      'HTTP/1.1 200 OK',
      'Audit-Id: 7',
      'Content-Type:application/json',
      'X-Empty:',
      'Content-Length: \t12 ',
    )
    expect(parseResponseHead(text, false)).toEqual({
      statusCode: 200,
      headers: ['Audit-Id', '7', 'Content-Type', 'application/json', 'X-Empty', '', 'Content-Length', '12'],
      framing: 12,
      keepAlive: true,
      upgrade: '',
    })
  })

  test('keeps repeated lines apart and latin1 bytes as they are', () => {
    const text = head('HTTP/1.1 200 \xe4', 'Warning: 299 - "a"', 'warning: 299 - "\xe9"', 'Content-Length: 0')
    expect(parseResponseHead(text, false).headers).toEqual([
      ...['Warning', '299 - "a"', 'warning', '299 - "\xe9"'],
      ...['Content-Length', '0'],
    ])
  })

  test.each([
    ['a length', 200, ['Content-Length: 5'], 5],
    ['the largest length', 200, ['content-length: 999999999999999'], 999_999_999_999_999],
    ['chunks', 200, ['Transfer-Encoding: chunked'], 'chunked'],
    ['chunks in other letters', 200, ['TRANSFER-ENCODING: Chunked'], 'chunked'],
    ['the end of the connection when nothing is said', 200, [], 'until-close'],
    ['nothing for 204', 204, [], 0],
    ['nothing for 304', 304, ['Content-Length: 5'], 0],
    ['nothing for 101', 101, ['Upgrade: SPDY/3.1'], 0],
  ])('a body is ended by %s', (_what, status, lines, framing) => {
    expect(parseResponseHead(head(`HTTP/1.1 ${status} X`, ...lines), false).framing).toBe(framing)
  })

  test.each([['Content-Length: 5'], ['Transfer-Encoding: chunked']])(
    'an answer to HEAD has no body after %s',
    (line) => {
      expect(parseResponseHead(head('HTTP/1.1 200 OK', line), true).framing).toBe(0)
    },
  )

  test('an answer to HEAD keeps its Content-Length, a 204 does not', () => {
    const line = 'Content-Length: 0'
    expect(parseResponseHead(head('HTTP/1.1 200 OK', line), true).headers).toEqual(['Content-Length', '0'])
    expect(parseResponseHead(head('HTTP/1.1 204 No Content', line), false).headers).toEqual([])
  })

  test.each([
    ['HTTP/1.1 200 OK', ['Content-Length: 0'], true],
    ['HTTP/1.1 200 OK', ['Content-Length: 0', 'Connection: keep-alive'], true],
    ['HTTP/1.1 200 OK', ['Content-Length: 0', 'Connection: foo, CLOSE'], false],
    ['HTTP/1.1 200 OK', ['Content-Length: 0', 'connection: x', 'Connection: close'], false],
    ['HTTP/1.1 200 OK', [], false],
    ['HTTP/1.0 200 OK', ['Content-Length: 0'], false],
    ['HTTP/1.0 200 OK', ['Content-Length: 0', 'Connection: keep-alive'], false],
  ])('%s with %j can be followed by another answer: %s', (status, lines, keepAlive) => {
    expect(parseResponseHead(head(status, ...lines), false).keepAlive).toBe(keepAlive)
  })

  test('headers of this connection only are not handed on, nor are those that Connection names', () => {
    const text = head(
      ...[
        'HTTP/1.1 200 OK',
        'Connection: keep-alive, X-Secret',
        'x-secret: 1',
        'Keep-Alive: timeout=5',
        'TE: trailers',
      ],
      ...[
        'Trailer: X',
        'Transfer-Encoding: chunked',
        'Upgrade: h2c',
        'Proxy-Authenticate: Basic',
        'Proxy-Connection: x',
      ],
      ...['Proxy-Authorization: x', 'Proxy-Authentication-Info: x', 'Date: now'],
    )
    const parsed = parseResponseHead(text, false)
    expect(parsed.headers).toEqual(['Date', 'now'])
    expect(parsed.upgrade).toBe('h2c')
  })

  test.each<[string, string]>([
    ['empty', ''],
    ['no status line', head('Content-Length: 5')],
    ['HTTP/2', head('HTTP/2.0 200 OK')],
    ['HTTP/0.9', head('<html>')],
    ['a lower-case protocol', head('http/1.1 200 OK')],
    ['no status code', head('HTTP/1.1 ')],
    ['a short status code', head('HTTP/1.1 20')],
    ['a long status code', head('HTTP/1.1 2000 OK')],
    ['a status code in letters', head('HTTP/1.1 abc OK')],
    ['a negative status code', head('HTTP/1.1 -20 OK')],
    ['a status code below 100', head('HTTP/1.1 099 OK')],
    ['a status code above 599', head('HTTP/1.1 600 OK')],
    ['two spaces before the status code', head('HTTP/1.1  200 OK')],
    ['a NUL in the reason', head('HTTP/1.1 200 O\0K')],
    ['a bare CR in the reason', head('HTTP/1.1 200 O\rK')],
    ['a bare LF after the status line', 'HTTP/1.1 200 OK\nDate: x\r\n'],
    ['a line without colon', head('HTTP/1.1 200 OK', 'Date')],
    ['an empty name', head('HTTP/1.1 200 OK', ': x')],
    ['a space before the colon', head('HTTP/1.1 200 OK', 'Content-Length : 5')],
    ['a space in a name', head('HTTP/1.1 200 OK', 'Content Length: 5')],
    ['a folded line', head('HTTP/1.1 200 OK', 'Date: x', ' y')],
    ['a line folded with a tab', head('HTTP/1.1 200 OK', 'Date: x', '\ty')],
    ['a name beyond ASCII', head('HTTP/1.1 200 OK', 'D\xe4te: x')],
    ['a NUL in a value', head('HTTP/1.1 200 OK', 'Date: \0')],
    ['an escape character in a value', head('HTTP/1.1 200 OK', 'Date: \x1b[31m')],
    ['a DEL in a value', head('HTTP/1.1 200 OK', 'Date: \x7f')],
    ['a bare CR in a value', head('HTTP/1.1 200 OK', 'Date: a\rb')],
    ['a bare LF in a value', head('HTTP/1.1 200 OK', 'Date: a\nContent-Length: 5')],
    ['an unfinished last line', 'HTTP/1.1 200 OK\r\nDate: x'],
    ['two lengths', head('HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 6')],
    ['the same length twice', head('HTTP/1.1 200 OK', 'Content-Length: 5', 'content-length: 5')],
    ['two lengths in one line', head('HTTP/1.1 200 OK', 'Content-Length: 5, 5')],
    ['an empty length', head('HTTP/1.1 200 OK', 'Content-Length:')],
    ['a negative length', head('HTTP/1.1 200 OK', 'Content-Length: -5')],
    ['a length with a sign', head('HTTP/1.1 200 OK', 'Content-Length: +5')],
    ['a hexadecimal length', head('HTTP/1.1 200 OK', 'Content-Length: 0x5')],
    ['a length with a fraction', head('HTTP/1.1 200 OK', 'Content-Length: 5.0')],
    ['a huge length', head('HTTP/1.1 200 OK', 'Content-Length: 9999999999999999')],
    ['a length in other digits', head('HTTP/1.1 200 OK', 'Content-Length: \xb2')],
    ['length and chunks', head('HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['chunks and length', head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Content-Length: 0')],
    ['chunks twice', head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
    ['another transfer coding', head('HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked')],
    ['the identity coding', head('HTTP/1.1 200 OK', 'Transfer-Encoding: identity')],
    ['an obfuscated coding', head('HTTP/1.1 200 OK', 'Transfer-Encoding: xchunked')],
    ['an empty coding', head('HTTP/1.1 200 OK', 'Transfer-Encoding:')],
    ['chunks in HTTP/1.0', head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked')],
    ['a body in 204', head('HTTP/1.1 204 No Content', 'Content-Length: 5')],
    ['chunks in 204', head('HTTP/1.1 204 No Content', 'Transfer-Encoding: chunked')],
    ['a body in 103', head('HTTP/1.1 103 Early Hints', 'Content-Length: 5')],
    ['chunks in 101', head('HTTP/1.1 101 Switching Protocols', 'Transfer-Encoding: chunked')],
    ['too many lines', head('HTTP/1.1 200 OK', ...Array.from({ length: MAX_HEADER_LINES + 1 }, () => 'A: b'))],
  ])('is refused with %s', (_what, text) => {
    expect(() => parseResponseHead(text, false)).toThrow(MalformedResponse)
  })

  test('as many lines as may be are taken', () => {
    const lines = Array.from({ length: MAX_HEADER_LINES }, () => 'A: b')
    expect(parseResponseHead(head('HTTP/1.1 200 OK', ...lines), false).headers).toHaveLength(2 * MAX_HEADER_LINES)
  })
})
