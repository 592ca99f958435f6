import type { RawHeaders } from '../kube/raw-headers.ts'

/** How the body of a response is delimited: a length in bytes, or what ends it when none was given. */
type BodyFraming = number | 'chunked' | 'until-close'

/** The head of a response, understood. */
export interface ResponseHead {
  readonly statusCode: number
  /** End-to-end headers in wire order. */
  readonly headers: RawHeaders
  readonly framing: BodyFraming
  /** Whether the connection may carry another request once the body has ended. */
  readonly keepAlive: boolean
  /** Value of `Upgrade`; empty when there is none. */
  readonly upgrade: string
}

/** What came from the API server is not a response. The message is a phrase that quotes nothing of the peer's. */
export class MalformedResponse extends Error {
  override readonly name = 'MalformedResponse'
}

/** Header lines of one response. kube-apiserver sends about ten. */
export const MAX_HEADER_LINES = 256

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a
const DELETE = 0x7f

/** Digits of a length in bytes that a double still counts exactly. */
const MAX_LENGTH_DIGITS = 15

/** 1 where a character may stand in a header name (RFC 9110 section 5.6.2, `tchar`). */
const TOKEN = new Uint8Array(256)
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[character.charCodeAt(0)] = 1
}

/**
 * Reads one response head: the status line and the header lines, each with its CRLF, without the empty line
 * behind them. `text` has one character a byte; `answersHead` says that the request was a HEAD.
 *
 * Strict wherever leniency could move the end of the body: no bare CR or LF, no folded line, no space before
 * a colon, at most one `Content-Length`, no transfer coding but `chunked`, never both.
 *
 * @throws MalformedResponse
 * @see RFC 9112 sections 4 to 6
 */
export function parseResponseHead(text: string, answersHead: boolean): ResponseHead {
  const http11 = text.startsWith('HTTP/1.1 ')
  if (!http11 && !text.startsWith('HTTP/1.0 ')) throw new MalformedResponse('the answer is not HTTP/1.1')
  const statusCode = statusCodeAt(text, 9)
  const afterCode = text.charCodeAt(12)
  if (afterCode !== SPACE && afterCode !== CR) throw new MalformedResponse('the status line is malformed')
  let at = lineEnd(text, 12) + 2

  let headers: string[] = []
  const fields = new MessageFields()
  let lines = 0
  while (at < text.length) {
    if (++lines > MAX_HEADER_LINES) throw new MalformedResponse(`more than ${MAX_HEADER_LINES} header lines`)
    let colon = at
    while (TOKEN[text.charCodeAt(colon)] === 1) colon++
    if (colon === at || text.charCodeAt(colon) !== COLON) throw new MalformedResponse('a header name is malformed')
    let start = colon + 1
    while (isBlank(text.charCodeAt(start))) start++
    const next = lineEnd(text, start)
    let end = next
    while (end > start && isBlank(text.charCodeAt(end - 1))) end--
    const name = text.slice(at, colon)
    const value = text.slice(start, end)
    if (!fields.take(name, value)) headers.push(name, value)
    at = next + 2
  }

  const framing = fields.framing(statusCode, answersHead, http11)
  if (statusCode === 204) fields.dropped.push('content-length')
  if (fields.dropped.length > 0) headers = without(headers, fields.dropped)
  const keepAlive = http11 && !fields.close && framing !== 'until-close'
  return { statusCode, headers, framing, keepAlive, upgrade: fields.upgrade }
}

function statusCodeAt(text: string, at: number): number {
  let code = 0
  for (let i = at; i < at + 3; i++) {
    const digit = text.charCodeAt(i) - 0x30
    // NaN behind the end fails both comparisons.
    if (!(digit >= 0 && digit <= 9)) throw new MalformedResponse('the status code is not a number')
    code = code * 10 + digit
  }
  if (code < 100 || code > 599) throw new MalformedResponse('the status code is not from 100 to 599')
  return code
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

/** Index of the CR that ends the line; everything up to it is text. */
function lineEnd(text: string, from: number): number {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if ((code >= SPACE && code !== DELETE) || code === TAB) at++
    else if (code === CR && text.charCodeAt(at + 1) === LF) return at
    else throw new MalformedResponse('a line of the head holds a control character')
  }
}

/** The headers that say where a message ends and what belongs to this connection only. */
class MessageFields {
  close = false
  upgrade = ''
  /** Lower-case names that `Connection` declares to be of this connection only. */
  readonly dropped: string[] = []
  #contentLength: number | undefined
  #chunked = false

  /** Whether the field is of this connection only, so that it must not be handed on. */
  take(name: string, value: string): boolean {
    switch (name.length) {
      case 2:
      case 7:
      case 10:
      case 14:
      case 16:
      case 17:
      case 18:
      case 19:
      case 25:
        return this.#takeNamed(name.toLowerCase(), value)
      default:
        return false
    }
  }

  /** How the body ends (RFC 9112 section 6.3). */
  framing(statusCode: number, answersHead: boolean, http11: boolean): BodyFraming {
    if (this.#chunked && this.#contentLength !== undefined) {
      throw new MalformedResponse('Transfer-Encoding and Content-Length together')
    }
    if (this.#chunked && !http11) throw new MalformedResponse('Transfer-Encoding in HTTP/1.0')
    if (statusCode < 200 || statusCode === 204) {
      if (this.#chunked || (this.#contentLength ?? 0) !== 0) {
        throw new MalformedResponse(`a body announced with status ${statusCode}`)
      }
      return 0
    }
    if (answersHead || statusCode === 304) return 0
    if (this.#chunked) return 'chunked'
    return this.#contentLength ?? 'until-close'
  }

  #takeNamed(name: string, value: string): boolean {
    switch (name) {
      case 'content-length':
        if (this.#contentLength !== undefined) throw new MalformedResponse('more than one Content-Length')
        if (value.length > MAX_LENGTH_DIGITS || !/^[0-9]+$/.test(value)) {
          throw new MalformedResponse('Content-Length is not a length')
        }
        this.#contentLength = Number(value)
        return false
      case 'transfer-encoding':
        if (this.#chunked || value.toLowerCase() !== 'chunked') {
          throw new MalformedResponse('Transfer-Encoding is not exactly chunked')
        }
        this.#chunked = true
        return true
      case 'connection':
        for (const option of value.toLowerCase().split(',')) this.#takeOption(option.trim())
        return true
      case 'upgrade':
        this.upgrade = this.upgrade === '' ? value : `${this.upgrade}, ${value}`
        return true
      case 'te':
      case 'trailer':
      case 'keep-alive':
      case 'proxy-connection':
      case 'proxy-authenticate':
      case 'proxy-authorization':
      case 'proxy-authentication-info':
        return true
      default:
        return false
    }
  }

  #takeOption(option: string): void {
    if (option === 'close') this.close = true
    else if (option !== '' && option !== 'keep-alive') this.dropped.push(option)
  }
}

function without(headers: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]
    const value = headers[i + 1]
    if (name === undefined || value === undefined || names.includes(name.toLowerCase())) continue
    kept.push(name, value)
  }
  return kept
}
