import type { Duplex } from 'node:stream'
import type { ClientHttp2Session, IncomingHttpHeaders, IncomingHttpStatusHeader, OutgoingHttpHeaders } from 'node:http2'

/** An answer as a client got it. */
export interface RawAnswer {
  readonly statusCode: number
  /** By lower-case name; repeated lines are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What came over a connection that carried raw bytes. */
export interface RawExchange {
  /** In the order in which they came; interim answers are left out. */
  readonly answers: readonly RawAnswer[]
  /** Whether the other side ended the connection. */
  readonly ended: boolean
  /** Bytes that are no whole answer. */
  readonly rest: string
}

/**
 * Writes bytes on an HTTP/1.1 connection and collects what comes back until there are `answers` answers or the other
 * side ends. The connection is left as it is then; `ended` says whether it ended by itself.
 */
export function exchange(
  connection: Duplex,
  bytes: string | Buffer,
  { answers: wanted = Infinity, method = 'GET' } = {},
): Promise<RawExchange> {
  return new Promise((resolve) => {
    let text = ''
    const answers: RawAnswer[] = []
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      for (;;) {
        const read = readAnswer(text, method === 'HEAD')
        if (read === undefined) break
        text = text.slice(read.length)
        if (read.answer.statusCode >= 200) answers.push(read.answer)
      }
      if (answers.length >= wanted) settle(false)
    }
    const end = (): void => {
      settle(true)
    }
    const settle = (byOtherSide: boolean): void => {
      connection.off('data', take).off('end', end).off('close', end)
      resolve({ answers, ended: byOtherSide, rest: text })
    }
    connection.on('data', take).on('end', end).on('close', end)
    connection.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}

/** Resolves when the other side has ended the connection; what it still sends is thrown away. */
export function ended(connection: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (connection.readableEnded || connection.destroyed) resolve()
    connection.once('end', resolve).once('close', resolve).resume()
  })
}

function readAnswer(text: string, answersHead: boolean): { answer: RawAnswer; length: number } | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    const value = line.slice(line.indexOf(':') + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  const statusCode = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1])
  const start = end + 4
  const bodyless = answersHead || statusCode < 200 || statusCode === 204 || statusCode === 304
  const read = bodyless
    ? { body: '', length: start }
    : headers['transfer-encoding'] === undefined
      ? sizedBody(text, start, Number(headers['content-length'] ?? 0))
      : chunkedBody(text, start)
  if (read === undefined) return undefined
  return { answer: { statusCode, headers, body: Buffer.from(read.body, 'latin1').toString() }, length: read.length }
}

function sizedBody(text: string, start: number, bytes: number): { body: string; length: number } | undefined {
  if (text.length < start + bytes) return undefined
  return { body: text.slice(start, start + bytes), length: start + bytes }
}

function chunkedBody(text: string, start: number): { body: string; length: number } | undefined {
  let body = ''
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const bytes = Number.parseInt(text.slice(at, lineEnd), 16)
    const next = lineEnd + 2 + bytes + 2
    if (text.length < next) return undefined
    if (bytes === 0) return { body, length: next }
    body += text.slice(lineEnd + 2, next - 2)
    at = next
  }
}

/** How a stream of HTTP/2 ended. */
export type StreamEnd = (RawAnswer & { readonly resetCode?: number }) | { readonly resetCode: number }

/** Sends one request over HTTP/2 and collects its answer, or the code of its reset when it got none. */
export function exchangeStream(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<StreamEnd> {
  return new Promise((resolve, reject) => {
    session.once('error', reject)
    const stream = session.request(headers, { endStream: body === undefined })
    const chunks: Buffer[] = []
    let head: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined
    stream.on('error', () => undefined)
    stream.on('response', (received) => (head = received))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('close', () => {
      session.off('error', reject)
      if (head === undefined) resolve({ resetCode: stream.rstCode })
      else {
        const answer = { statusCode: head[':status'] ?? 0, headers: flat(head), body: Buffer.concat(chunks).toString() }
        resolve(stream.rstCode === 0 ? answer : { ...answer, resetCode: stream.rstCode })
      }
    })
    if (body !== undefined) stream.end(body)
  })
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  )
}
