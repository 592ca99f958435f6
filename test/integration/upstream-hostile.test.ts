import type { TLSSocket } from 'node:tls'
import { describe, expect, test } from 'vitest'
import type { UpstreamClient } from '../../src/upstream/upstream-client.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { onRequestHead, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts'
import { answerOf, failureOf, openUpstream } from '../support/upstream-requests.ts'

// Attack C13.

const authority = createCertificateAuthority()
const certificate = authority.issueServer()

/** A server that does its worst for `/hostile` and answers well otherwise. */
async function hostile(
  attack: (socket: TLSSocket) => void,
): Promise<{ readonly server: ScriptedServer; readonly upstream: UpstreamClient }> {
  const server = await startScriptedServer(certificate, (socket) => {
    onRequestHead(socket, (head) => {
      if (head.includes('/hostile')) attack(socket)
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell')
    })
  })
  const upstream = await openUpstream({ server: server.url, certificateAuthority: { value: authority.certificate } })
  return { server, upstream }
}

/** The attack is refused, its connection gone, and the next request is served on another. */
async function refused(attack: (socket: TLSSocket) => void): Promise<string> {
  const { server, upstream } = await hostile(attack)
  const failure = await failureOf(answerOf(upstream, { target: '/hostile' }))
  expect(failure.status).toMatchObject({ code: 502, reason: 'BadGateway' })
  expect(failure.message).toBe('the API server of this socket gave an answer that is not valid HTTP')
  await expect.poll(() => server.open.size).toBe(0)
  expect((await answerOf(upstream)).body.toString()).toBe('well')
  expect(upstream.openConnections).toBe(1)
  return failure.detail.replace(`API server 127.0.0.1:${server.port}: malformed answer: `, '')
}

/** Writes on and on, until the connection is closed. */
function flood(head: string, line: string): (socket: TLSSocket) => void {
  return (socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(line.repeat(64))) {
        // Until the buffer is full.
      }
      socket.once('drain', more)
    }
    socket.write(head)
    more()
  }
}

describe('an API server that breaks the protocol is cut off', () => {
  const status = 'HTTP/1.1 200 OK\r\n'
  test.each<[string, string, string]>([
    ['another protocol', 'SSH-2.0-OpenSSH\r\n', 'the answer is not HTTP/1.1'],
    [
      'length and chunks',
      `${status}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      'Transfer-Encoding and Content-Length together',
    ],
    ['two lengths', `${status}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, 'more than one Content-Length'],
    [
      'two lengths that differ in case',
      `${status}Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello`,
      'more than one Content-Length',
    ],
    ['a negative length', `${status}Content-Length: -1\r\n\r\n`, 'Content-Length is not a length'],
    ['a huge length', `${status}Content-Length: 18446744073709551616\r\n\r\n`, 'Content-Length is not a length'],
    ['a list of lengths', `${status}Content-Length: 5, 5\r\n\r\nhello`, 'Content-Length is not a length'],
    [
      'an obfuscated coding',
      `${status}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      'Transfer-Encoding is not exactly chunked',
    ],
    ['a folded line', `${status}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`, 'a header name is malformed'],
    ['a space before the colon', `${status}Content-Length : 0\r\n\r\n`, 'a header name is malformed'],
    ['a bare LF', `${status}X: a\nContent-Length: 0\r\n\r\n`, 'a line of the head holds a control character'],
    ['a NUL', `${status}X: \0\r\nContent-Length: 0\r\n\r\n`, 'a line of the head holds a control character'],
    ['more lines than are kept', `${status}${'A: b\r\n'.repeat(1000)}\r\n`, 'more than 256 header lines'],
    [
      'an unasked switch of protocols',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n',
      'it switches to a protocol that nobody asked for',
    ],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', 'the status line is malformed'],
    ['bad first chunk', `${status}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello`, 'a chunk size is missing'],
    ['a huge chunk', `${status}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`, 'a chunk size is too large'],
    [
      'a chunk longer than its size',
      `${status}Transfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n`,
      'a chunk is longer than its size',
    ],
  ])('with %s', async (_what, bytes, detail) => {
    expect(await refused((socket) => socket.write(Buffer.from(bytes, 'latin1')))).toBe(detail)
  })

  test.each<[string, string, string, string]>([
    ['interim answers', '', 'HTTP/1.1 100 Continue\r\n\r\n', 'more than 8 interim answers'],
    ['header lines', status, 'X: y\r\n', 'the head is longer than 65536 bytes'],
    ['a header line', `${status}X: `, 'y'.repeat(100), 'the head is longer than 65536 bytes'],
    ['a status line', 'HTTP/1.1 200 ', 'y'.repeat(100), 'the head is longer than 65536 bytes'],
    [
      'a chunk extension',
      `${status}Transfer-Encoding: chunked\r\n\r\n1;`,
      'x'.repeat(100),
      'a chunk line is longer than 4096 bytes',
    ],
    [
      'a trailer',
      `${status}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
      'X: y\r\n',
      'the trailer is longer than 16384 bytes',
    ],
  ])('with endless %s', async (_what, head, line, detail) => {
    expect(await refused(flood(head, line))).toBe(detail)
  })

  test('in the middle of a body', async () => {
    const { upstream } = await hostile((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense'),
    )
    const heard: string[] = []
    const { promise, resolve } = Promise.withResolvers<undefined>()
    upstream.send(
      { method: 'GET', target: '/hostile', headers: [], bodyLength: 0 },
      {
        head: (statusCode) => heard.push(`head ${statusCode}`),
        data: (chunk) => heard.push(chunk.toString()) > 0,
        end: () => heard.push('end'),
        error(error) {
          heard.push(error.message)
          resolve(undefined)
        },
      },
      () => undefined,
    )
    await promise
    expect(heard).toEqual([
      ...['head 200', 'hello', 'the API server of this socket gave an answer that is not valid HTTP'],
    ])
    await expect.poll(() => upstream.openConnections).toBe(0)
  })
})
