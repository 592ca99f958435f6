import { describe, expect, test } from 'vitest'
import { MAX_HEADER_LINES, requestHeaders } from './request-headers.ts'
import { StatusError } from './status.ts'

const options = { auditId: 'audit-1' }
const own = ['Audit-ID', 'audit-1']

function sent(...received: string[]): readonly string[] {
  return requestHeaders('GET', received, options).headers
}

describe('what is sent on', () => {
  test('is the allow-list in its own spelling, and the audit id', () => {
    expect(
      sent(
        ...['Host', 'k', 'USER-AGENT', 'kubectl/1.36', 'accept', 'application/json;as=Table;v=v1;g=meta.k8s.io'],
        ...[
          'Accept-encoding',
          'gzip',
          'Kubectl-Command',
          'kubectl get',
          'kubectl-session',
          's',
          'If-None-Match',
          '"e"',
        ],
        ...[
          'If-Match',
          '*',
          'if-modified-since',
          'x',
          'Content-Type',
          'application/json',
          'traceparent',
          't',
          'tracestate',
          'u',
        ],
      ),
    ).toStrictEqual([
      ...['User-Agent', 'kubectl/1.36', 'Accept', 'application/json;as=Table;v=v1;g=meta.k8s.io'],
      ...['Accept-Encoding', 'gzip', 'Kubectl-Command', 'kubectl get', 'Kubectl-Session', 's', 'If-None-Match', '"e"'],
      ...[
        'If-Match',
        '*',
        'If-Modified-Since',
        'x',
        'Content-Type',
        'application/json',
        'Traceparent',
        't',
        'Tracestate',
        'u',
      ],
      ...own,
    ])
  })

  test.each([
    ...[
      'Authorization',
      'Proxy-Authorization',
      'Proxy-Connection',
      'Cookie',
      'Host',
      'Origin',
      'Referer',
      'TE',
      'Trailer',
    ],
    ...[
      'Connection',
      'Keep-Alive',
      'Upgrade',
      'HTTP2-Settings',
      'Audit-ID',
      'audit-id',
      'Forwarded',
      'X-Real-Ip',
      'Via',
    ],
    ...[
      'Impersonate-User',
      'impersonate-group',
      'IMPERSONATE-UID',
      'Impersonate-Extra-scopes%2Fa',
      'Impersonate-Anything-New',
    ],
    ...['X-Remote-User', 'x-remote-group', 'X-Remote-Uid', 'X-Remote-Extra-a', 'X-Forwarded-For', 'X-Forwarded-User'],
    ...['X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'Range'],
    ...[
      'Sec-WebSocket-Extensions',
      'Sec-WebSocket-Protocol',
      'Sec-WebSocket-Key',
      'X-Stream-Protocol-Version',
      'X-Unknown',
    ],
  ])('is never %s', (name) => {
    expect(sent(name, 'forged')).toStrictEqual(own)
  })

  test('is never Expect, of which only 100-continue is known', () => {
    expect(sent('Expect', '100-Continue')).toStrictEqual(own)
    expect(() => sent('Expect', '100-continue, x')).toThrow('the Expect header is refused')
  })

  test('is nothing that Connection names', () => {
    expect(
      sent(
        'User-Agent',
        'a',
        'Accept',
        'b',
        'Connection',
        'close, user-agent',
        'connection',
        ' Audit-ID ,Impersonate-User',
      ),
    ).toStrictEqual(['Accept', 'b', ...own])
  })

  test('keeps repeated lines of a list apart', () => {
    expect(sent('Accept', 'a', 'accept', 'b, c')).toStrictEqual(['Accept', 'a', 'Accept', 'b, c', ...own])
  })

  test('keeps the bytes of a value', () => {
    expect(sent('User-Agent', 'caf\xc3\xa9\t;')).toStrictEqual(['User-Agent', 'caf\xc3\xa9\t;', ...own])
  })

  test('does not heed names of the prototype', () => {
    expect(sent('constructor', 'a', 'toString', 'b', 'hasOwnProperty', 'c')).toStrictEqual(own)
  })
})

describe('a head is refused', () => {
  test.each([
    [
      'with more lines than are looked at',
      Array<string[]>(MAX_HEADER_LINES + 1)
        .fill(['A', 'b'])
        .flat(),
      'more than 100',
    ],
    ['with an underscore in a name', ['X_Forwarded_User', 'a'], '"X_Forwarded_User"'],
    ['with an underscore twin', ['Impersonate_User', 'a'], '"Impersonate_User"'],
    ['with a name that is no name', ['__proto__', 'a'], '"__proto__"'],
    ['with a space in a name', ['User-Agent ', 'a'], '"User-Agent "'],
    ['with a line break in a name', ['A\r\nB', 'a'], '"A\\r\\nB"'],
    ['with an empty name', ['', 'a'], '""'],
    ['with a pseudo header', [':path', '/'], '":path"'],
    ['with two hosts', ['Host', 'a', 'host', 'b'], 'host is repeated'],
    ['with two equal hosts', ['Host', 'a', 'Host', 'a'], 'host is repeated'],
    ['with two media types', ['Content-Type', 'a', 'content-type', 'b'], 'content-type is repeated'],
    ['with two lengths', ['Content-Length', '1', 'content-length', '1'], 'content-length is repeated'],
    ['with two user agents', ['User-Agent', 'a', 'User-Agent', 'b'], 'user-agent is repeated'],
    ['with a line break in a value', ['User-Agent', 'a\r\nImpersonate-User: b'], 'control character'],
    ['with a NUL in a value', ['Accept', 'a\0'], 'control character'],
    ['with a value that is not latin1', ['Accept', '\u0100'], 'control character'],
  ])('%s', (_name, received, why) => {
    expect(() => sent(...received)).toThrow(StatusError)
    expect(() => sent(...received)).toThrow(why)
  })

  test('only beyond the bound on its lines', () => {
    expect(sent(...Array<string[]>(MAX_HEADER_LINES).fill(['A', 'b']).flat())).toStrictEqual(own)
  })
})

describe('the length of a body', () => {
  test.each([
    ['GET', [], 0],
    ['GET', ['Content-Length', '0'], 0],
    ['POST', [], 0],
    ['POST', ['content-length', '12'], 12],
    ['POST', ['Content-Length', '007'], 7],
    ['PATCH', ['Transfer-Encoding', 'chunked'], 'chunked'],
    ['DELETE', ['Content-Length', '5'], 5],
    ['OPTIONS', ['Content-Length', '5'], 5],
    ['POST', ['Content-Length', '5', 'Connection', 'Content-Length'], 5],
  ])('of a %s with %j is %j', (method, received, length) => {
    const head = requestHeaders(method, received, options)
    expect(head.bodyLength).toBe(length)
    expect(head.headers).toStrictEqual(own)
  })

  test.each([
    ['GET', ['Content-Length', '1']],
    ['HEAD', ['Transfer-Encoding', 'chunked']],
    ['POST', ['Transfer-Encoding', 'gzip, chunked']],
    ['POST', ['Transfer-Encoding', 'identity, chunked']],
    ['POST', ['Transfer-Encoding', 'identity']],
    ['POST', ['Transfer-Encoding', 'Chunked']],
    ['POST', ['Transfer-Encoding', 'chunked ']],
    ['POST', ['Transfer-Encoding', 'xchunked']],
    ['POST', ['Transfer-Encoding', '']],
    ['POST', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ['POST', ['Transfer-Encoding', 'chunked', 'Content-Length', '5']],
    ['POST', ['Content-Length', '+5']],
    ['POST', ['Content-Length', '-5']],
    ['POST', ['Content-Length', '5, 5']],
    ['POST', ['Content-Length', '0x5']],
    ['POST', ['Content-Length', ' 5']],
    ['POST', ['Content-Length', '']],
    ['POST', ['Content-Length', '9'.repeat(16)]],
    ['POST', ['Content-Encoding', 'gzip', 'Content-Length', '5']],
    ['POST', ['Content-Encoding', 'identity']],
  ])('of a %s with %j is not known, so it is refused', (method, received) => {
    expect(() => requestHeaders(method, received, options)).toThrow(StatusError)
  })

  test('that no header announces is what the protocol says', () => {
    const open = { ...options, unframedLength: 'chunked' } as const
    expect(requestHeaders('POST', [], open).bodyLength).toBe('chunked')
    expect(requestHeaders('POST', ['content-length', '3'], open).bodyLength).toBe(3)
    expect(() => requestHeaders('GET', [], open)).toThrow('must not have a body')
  })
})
