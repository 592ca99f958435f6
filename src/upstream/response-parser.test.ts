import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RawHeaders } from '../kube/raw-headers.ts'
import { MAX_CHUNK_LINE_BYTES, MAX_TRAILER_BYTES } from './chunk-framing.ts'
import type { MalformedResponse } from './response-head.ts'
import { type ExpectedResponse, MAX_HEAD_BYTES, MAX_INTERIM_RESPONSES, ResponseParser } from './response-parser.ts'

/** What came of one response. Data is joined, since where it is cut depends on the pieces. */
interface Account {
  heads: [number, RawHeaders][]
  body: string
  ends: number
  /** Empty while nothing was wrong. */
  error: string
  surplus: number
}

const OTHERS: ExpectedResponse = { toHead: false, toUpgrade: false }

function parse(pieces: readonly (string | Uint8Array)[], expected = OTHERS, thenEnd = false): Account {
  const account: Account = { heads: [], body: '', ends: 0, error: '', surplus: 0 }
  const parser = new ResponseParser({
    onHead(statusCode, headers) {
      account.heads.push([statusCode, headers])
    },
    onData(view) {
      expect(view.length).toBeGreaterThan(0)
      account.body += view.toString('latin1')
    },
    onEnd(surplus) {
      account.ends++
      account.surplus = surplus
    },
    onError(problem: MalformedResponse) {
      expect(account.error).toBe('')
      account.error = problem.message
    },
  })
  parser.begin(expected)
  for (const piece of pieces) parser.push(Buffer.from(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece))
  if (thenEnd) parser.finish()
  return account
}

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end))
}

const chunked = (...chunks: string[]): string =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}`

describe('a response', () => {
  test('with a length ends with its last byte', () => {
    expect(parse(['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'])).toEqual({
      heads: [[200, ['Content-Length', '5']]],
      ...{ body: 'hello', ends: 1, error: '', surplus: 0 },
    })
  })

  test('in chunks ends with the last of them, extensions and trailers dropped', () => {
    const account = parse([chunked('5;a=b;c="d"\r\nhello\r\n', '00A\r\n, world!!!\r\n', '0;x\r\nX-Trailer: y\r\n\r\n')])
    expect(account).toMatchObject({ body: 'hello, world!!!', ends: 1, error: '' })
    expect(account.heads).toEqual([[200, []]])
  })

  test('without framing ends with the connection', () => {
    const pieces = ['HTTP/1.1 200 OK\r\n\r\nhello', ' you']
    expect(parse(pieces)).toMatchObject({ body: 'hello you', ends: 0, error: '' })
    expect(parse(pieces, OTHERS, true)).toMatchObject({ body: 'hello you', ends: 1, error: '' })
  })

  test('to HEAD ends with its head', () => {
    const account = parse(['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'], { toHead: true, toUpgrade: false })
    expect(account).toMatchObject({ body: '', ends: 1, error: '' })
  })

  test('says how many bytes lie behind its end, and ignores them', () => {
    const account = parse(['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n'])
    expect(account).toMatchObject({ body: 'ok', ends: 1, surplus: 19 })
    expect(account.heads).toHaveLength(1)
    expect(parse(['HTTP/1.1 204 No Content\r\n\r\nx']).surplus).toBe(1)
    expect(parse([chunked('0\r\n\r\n', 'xy')]).surplus).toBe(2)
  })

  test('may be preceded by a few interim ones, which are skipped', () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'
    const last = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
    const account = parse([interim.repeat(MAX_INTERIM_RESPONSES) + last])
    expect(account.heads.map(([statusCode]) => statusCode)).toEqual([200])
    expect(account.ends).toBe(1)
    expect(parse([interim.repeat(MAX_INTERIM_RESPONSES + 1) + last]).error).toContain('interim')
  })

  test('101 is final when an upgrade was asked for and an error otherwise', () => {
    const text = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nraw'
    expect(parse([text], { toHead: false, toUpgrade: true })).toMatchObject({ ends: 1, surplus: 3, error: '' })
    expect(parse([text])).toMatchObject({
      heads: [],
      ends: 0,
      error: 'it switches to a protocol that nobody asked for',
    })
  })

  test.each([
    ['nothing', ''],
    ['half a status line', 'HTTP/1.1 20'],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell'],
    ['an empty body of five bytes', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['half a chunk', chunked('5\r\nhel')],
    ['no last chunk', chunked('5\r\nhello\r\n')],
    ['no end of the trailer', chunked('0\r\n')],
    ['half the end of the trailer', chunked('0\r\nA: b\r\n\r')],
    ['only an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ])('is not whole when the connection ends after %s', (_what, text) => {
    const account = parse([text], OTHERS, true)
    expect(account.ends).toBe(0)
    expect(account.error).toContain('it ended inside')
  })

  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['another protocol, at its first byte', '\x15'],
    ['HTTP/2', '\0\0\x12\x04\0\0\0\0\0'],
    ['an endless status line', `HTTP/1.1 200 ${'x'.repeat(MAX_HEAD_BYTES)}`],
    ['endless headers', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(MAX_HEAD_BYTES / 6)}`],
    ['a missing chunk size', chunked('\r\nhello')],
    ['a chunk size in other letters', chunked('g\r\n')],
    ['a negative chunk size', chunked('-5\r\nhello')],
    ['a chunk size with a prefix', chunked('0x5\r\nhello')],
    ['a chunk size with a space', chunked('5 \r\nhello')],
    ['a huge chunk size', chunked('fffffffffffff\r\n')],
    ['a chunk size with many zeros', chunked(`${'0'.repeat(13)}5\r\nhello`)],
    ['a bare LF after a chunk size', chunked('5\nhello\r\n0\r\n\r\n')],
    ['a bare CR after a chunk size', chunked('5\rhello')],
    ['a NUL in a chunk extension', chunked('5;\0\r\nhello')],
    ['a bare LF in a chunk extension', chunked('5;a\nb\r\nhello')],
    ['an endless chunk extension', chunked(`5;${'x'.repeat(MAX_CHUNK_LINE_BYTES + 1)}`)],
    ['a chunk longer than its size', chunked('5\r\nhello!\r\n')],
    ['a bare LF after a chunk', chunked('5\r\nhello\n0\r\n\r\n')],
    ['a bare CR after a chunk', chunked('5\r\nhello\r0\r\n\r\n')],
    ['a NUL in the trailer', chunked('0\r\nA: \0\r\n\r\n')],
    ['an endless trailer', chunked(`0\r\n${'A: bcde\r\n'.repeat(MAX_TRAILER_BYTES / 7 + 1)}`)],
  ])('is refused with %s', (_what, text) => {
    const account = parse([text])
    expect(account.error).not.toBe('')
    expect(account.ends).toBe(0)
  })

  test('no event follows a stop, even in the middle of a piece', () => {
    const seen: string[] = []
    const parser = new ResponseParser({
      onHead: () => seen.push('head'),
      onData() {
        seen.push('data')
        parser.stop()
      },
      onEnd: () => seen.push('end'),
      onError: () => seen.push('error'),
    })
    parser.begin(OTHERS)
    parser.push(Buffer.from(chunked('1\r\na\r\n', '1\r\nb\r\n', '0\r\n\r\n')))
    parser.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))
    parser.finish()
    expect(seen).toEqual(['head', 'data'])
  })

  test('body bytes are handed over as views, not copied', () => {
    const piece = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
    let view: Buffer = Buffer.alloc(0)
    const parser = new ResponseParser({
      onHead: () => undefined,
      onData(given) {
        view = Buffer.from(given.buffer, given.byteOffset, given.length)
      },
      onEnd: () => undefined,
      onError: () => undefined,
    })
    parser.begin(OTHERS)
    parser.push(piece)
    piece.write('HELLO', piece.length - 5)
    expect(view.toString()).toBe('HELLO')
  })
})

const token = fc.stringMatching(/^[A-Za-z-]{1,20}$/)
const line = fc.tuple(token, fc.stringMatching(/^[!-~]{0,30}$/)).map(([name, value]) => `X-${name}: ${value}`)
const data = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 })

/** Whole responses of both framings, well formed. */
const response = fc
  .record({
    interim: fc.nat(2),
    lines: fc.array(line, { maxLength: 5 }),
    chunks: fc.array(data, { maxLength: 6 }),
    extension: fc.constantFrom('', ';a', ';a="b c"'),
    trailers: fc.array(line, { maxLength: 2 }),
    inChunks: fc.boolean(),
  })
  .map(({ interim, lines, chunks, extension, trailers, inChunks }) => {
    const body = chunks.join('')
    const framing = inChunks ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
    const head = ['HTTP/1.1 200 OK', ...lines, framing, '', ''].join('\r\n')
    const encoded = chunks.map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`).join('')
    const last = ['0', ...trailers, '', ''].join('\r\n')
    const text = 'HTTP/1.1 103 Hm\r\n\r\n'.repeat(interim) + head + (inChunks ? encoded + last : body)
    return { body, lines, bytes: Buffer.from(text, 'latin1') }
  })

/** Bytes that look enough like a response to get deep into the parser. */
const nearResponse = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'HTTP/1.1 200 OK\r\n',
        'HTTP/1.0 200\r\n',
        'HTTP/1.1 101 X\r\n',
        'HTTP/1.1 100 X\r\n',
        '\r\n',
        '\r',
      ),
      fc.constantFrom(
        '\n',
        '0',
        '5',
        'a;b',
        'Content-Length: 3\r\n',
        'Transfer-Encoding: chunked\r\n',
        'A: b\r\n',
        ': ',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 6 }),
    ),
    { maxLength: 20 },
  )
  .map((parts) => Buffer.from(parts.join(''), 'latin1'))

const places = fc.array(fc.nat(), { maxLength: 12 })
const expectedResponse = fc.record({ toHead: fc.boolean(), toUpgrade: fc.boolean() })

describe('for all inputs', () => {
  test('a well-formed response gives its headers and its body', () => {
    fc.assert(
      fc.property(response, ({ body, lines, bytes }) => {
        const account = parse([bytes])
        expect(account).toMatchObject({ body, ends: 1, error: '', surplus: 0 })
        const names = account.heads[0]?.[1].filter((_text, i) => i % 2 === 0 && _text !== 'Content-Length')
        expect(names).toEqual(lines.map((text) => text.slice(0, text.indexOf(':'))))
      }),
    )
  })

  test('any split of the bytes gives the same events', () => {
    const bytes = fc.oneof(
      response.map((whole) => whole.bytes),
      nearResponse,
    )
    fc.assert(
      fc.property(bytes, places, expectedResponse, fc.boolean(), (text, cuts, expected, thenEnd) => {
        const whole = parse([text], expected, thenEnd)
        const inPieces = parse(cut(text, cuts), expected, thenEnd)
        // How much of the surplus is there at once depends on the cuts.
        expect({ ...inPieces, surplus: 0 }).toEqual({ ...whole, surplus: 0 })
      }),
      { numRuns: 1000 },
    )
  })

  test('a response that is cut off is never taken for whole', () => {
    fc.assert(
      fc.property(response, fc.nat(), ({ bytes }, place) => {
        const account = parse([bytes.subarray(0, place % bytes.length)], OTHERS, true)
        expect(account.ends).toBe(0)
        expect(account.error).not.toBe('')
      }),
    )
  })

  test('arbitrary bytes never throw, and end in at most one way', () => {
    const bytes = fc.oneof(nearResponse, fc.uint8Array({ maxLength: 300 }))
    fc.assert(
      fc.property(bytes, places, expectedResponse, (garbage, cuts, expected) => {
        const account = parse(cut(Buffer.from(garbage), cuts), expected, true)
        expect(account.ends + (account.error === '' ? 0 : 1)).toBe(1)
      }),
      { numRuns: 1000 },
    )
  })
})
