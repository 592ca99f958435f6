import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { StatusError } from '../../src/kube/status.ts'
import type { UpstreamClient } from '../../src/upstream/upstream-client.ts'
import type { UpstreamLimits } from '../../src/upstream/upstream-limits.ts'
import type { ResponseSink } from '../../src/upstream/upstream.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { onRequestHead, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts'
import { answerOf, failureOf, GET, openUpstream } from '../support/upstream-requests.ts'

const authority = createCertificateAuthority()
const certificate = authority.issueServer()
const trust = { certificateAuthority: { value: authority.certificate } }
const MIB = 1024 * 1024

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Starts node:https, and an upstream for it. */
async function serve(listener: RequestListener, limits: Partial<UpstreamLimits> = {}): Promise<UpstreamClient> {
  const server = createHttpsServer(certificate, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return openUpstream({ server: `https://127.0.0.1:${port}`, ...trust }, limits)
}

/** Starts a server that answers each request head by the script, and an upstream for it. */
async function script(
  answer: (socket: TLSSocket, head: string, request: number, connection: number) => void,
  limits: Partial<UpstreamLimits> = {},
): Promise<{ readonly server: ScriptedServer; readonly upstream: UpstreamClient; readonly heads: string[] }> {
  const heads: string[] = []
  const server = await startScriptedServer(certificate, (socket, connection) => {
    onRequestHead(socket, (head, request) => {
      heads.push(head)
      answer(socket, head, request, connection)
    })
  })
  return { server, upstream: await openUpstream({ server: server.url, ...trust }, limits), heads }
}

/** A sink that only says what it is told. */
function sink(overrides: Partial<ResponseSink> = {}): ResponseSink {
  return { head: () => undefined, data: () => true, end: () => undefined, error: () => undefined, ...overrides }
}

describe('an exchange', () => {
  test('carries head and body both ways, byte for byte', async () => {
    const upstream = await serve((request, response) => {
      response.writeHead(201, { 'X-Method': request.method, 'X-Target': request.url })
      request.pipe(response)
    })
    const body = randomBytes(3 * MIB)
    const pieces = [body.subarray(0, 1), body.subarray(1, MIB), body.subarray(MIB)]
    for (const bodyLength of [body.length, 'chunked'] as const) {
      const answer = await answerOf(upstream, { method: 'POST', target: '/a%2Fb?c=%20', bodyLength }, pieces)
      expect(answer.statusCode).toBe(201)
      expect(answer.headers).toEqual(expect.arrayContaining(['X-Method', 'POST', 'X-Target', '/a%2Fb?c=%20']))
      expect(answer.body.equals(body)).toBe(true)
    }
    expect(upstream.openConnections).toBe(1)
  })

  test('carries our credential and host, and the headers in their order', async () => {
    const { upstream, heads, server } = await script((socket) => socket.write(OK))
    await answerOf(upstream, { headers: ['Accept', 'application/json', 'Impersonate-User', 'j\xc3\xa9r\xc3\xb4me'] })
    expect(heads).toEqual([
      [
        'GET /version HTTP/1.1',
        `Host: 127.0.0.1:${server.port}`,
        'Accept: application/json',
        'Impersonate-User: j\xc3\xa9r\xc3\xb4me',
        'Authorization: Bearer connector-token',
        '',
      ].join('\r\n'),
    ])
  })

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n', 200],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n', 304],
    ['DELETE', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 200],
    ['GET', `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`, 200],
  ])('of a %s answered by %j ends, and its connection is used again', async (method, text, statusCode) => {
    const { upstream, server } = await script((socket) => socket.write(text))
    for (let i = 0; i < 3; i++) expect(await answerOf(upstream, { method })).toMatchObject({ statusCode })
    expect(server.accepted).toBe(1)
  })

  test('hands a redirect over and does not follow it', async () => {
    const { upstream, heads } = await script((socket, _head) =>
      socket.write('HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n'),
    )
    const answer = await answerOf(upstream)
    expect(answer.statusCode).toBe(307)
    expect(answer.headers).toContain('/elsewhere')
    expect(heads).toHaveLength(1)
  })

  test('gives the head before the first byte of the body, and each chunk when it comes', async () => {
    let connection: TLSSocket | undefined
    const { upstream } = await script((socket) => {
      connection = socket
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    })
    const seen: string[] = []
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const parts = {
      head: () => seen.push('head'),
      data: (chunk: Buffer) => seen.push(chunk.toString()) > 0,
      end: () => {
        resolve(seen)
      },
    }
    upstream.send(GET, sink(parts), () => undefined)
    await expect.poll(() => seen).toEqual(['head'])
    connection?.write('5\r\nevent\r\n')
    await expect.poll(() => seen).toEqual(['head', 'event'])
    connection?.write('0\r\n\r\n')
    await promise
  })

  test('does not mix its bytes with those of others that come at the same time', async () => {
    const upstream = await serve((request, response) => {
      response.end(request.url?.repeat(5000))
    })
    const targets = Array.from({ length: 40 }, (_, i) => `/request-${i}`)
    const answers = await Promise.all(targets.map((target) => answerOf(upstream, { target })))
    const whole = answers.map(({ body }, i) => body.toString() === targets[i]?.repeat(5000))
    expect(whole).toEqual(targets.map(() => true))
  })
})

describe('a connection', () => {
  test('is used again, the one that was idle the shortest first', async () => {
    const { upstream, server } = await script((socket) => socket.write(OK))
    await Promise.all([answerOf(upstream), answerOf(upstream), answerOf(upstream)])
    expect(server.accepted).toBe(3)
    for (let i = 0; i < 20; i++) await answerOf(upstream)
    expect(server.accepted).toBe(3)
    expect(upstream.openConnections).toBe(3)
  })

  test('resumes the TLS session of an earlier one', async () => {
    const reused: boolean[] = []
    const server = await startScriptedServer(certificate, (socket) => {
      reused.push(socket.isSessionReused())
      onRequestHead(socket, () => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'))
    })
    const upstream = await openUpstream({ server: server.url, ...trust })
    for (let i = 0; i < 3; i++) await answerOf(upstream)
    expect(reused).toEqual([false, true, true])
  })

  test('is closed when it was idle for long', async () => {
    const { upstream, server } = await script((socket) => socket.write(OK), { idleTimeoutMs: 40 })
    await Promise.all([answerOf(upstream), answerOf(upstream)])
    await expect.poll(() => upstream.openConnections).toBe(0)
    await expect.poll(() => server.open.size).toBe(0)
    await answerOf(upstream)
    expect(server.accepted).toBe(3)
  })

  test('is not kept when enough others are idle', async () => {
    const { upstream, server } = await script((socket) => socket.write(OK), { maxIdleConnections: 2 })
    await Promise.all([1, 2, 3, 4].map(() => answerOf(upstream)))
    await expect.poll(() => upstream.openConnections).toBe(2)
    await expect.poll(() => server.open.size).toBe(2)
  })

  test.each([
    ['says close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
    ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['sends more than it announced', `${OK}!`],
    ['sends a second answer', `${OK}${OK}`],
  ])('whose server %s is not used again', async (_what, text) => {
    const { upstream, server } = await script((socket) => socket.write(text))
    for (let i = 0; i < 3; i++) expect((await answerOf(upstream)).body.toString()).toBe('ok')
    expect(server.accepted).toBe(3)
    await expect.poll(() => server.open.size).toBe(0)
  })

  test('on which bytes come while it is idle is closed', async () => {
    const { upstream, server } = await script((socket) => socket.write(OK))
    await answerOf(upstream)
    for (const socket of server.open) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
    await expect.poll(() => upstream.openConnections).toBe(0)
    expect((await answerOf(upstream)).body.toString()).toBe('ok')
  })

  test('is not used again when the answer came before the request was whole', async () => {
    const { upstream, server } = await script((socket) => socket.write(OK))
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const end = (): void => {
      resolve(undefined)
    }
    const exchange = upstream.send({ ...GET, method: 'POST', bodyLength: 10 }, sink({ end }), () => undefined)
    await promise
    expect(exchange.write(Buffer.from('0123456789'))).toBe(true)
    exchange.end()
    await answerOf(upstream)
    expect(server.accepted).toBe(2)
  })

  test('that was idle and fails before any answer lets a GET be sent once more, on a fresh one', async () => {
    const { upstream, server, heads } = await script((socket, _head, request, connection) => {
      if (request === 2 || connection > 1) socket.destroy()
      else socket.write(OK)
    })
    await answerOf(upstream)
    // The second connection fails too: that is the end of it.
    expect(await failureOf(answerOf(upstream))).toMatchObject({ status: { code: 502, reason: 'BadGateway' } })
    expect(heads).toHaveLength(3)
    expect(server.accepted).toBe(2)
  })

  test('that was idle and closes at the wrong moment is not noticed by a GET', async () => {
    const { upstream, heads } = await script((socket, _head, request) => {
      if (request === 2) socket.destroy()
      else socket.write(OK)
    })
    await answerOf(upstream)
    expect((await answerOf(upstream)).body.toString()).toBe('ok')
    expect(heads).toHaveLength(3)
  })

  test.each([
    ['a POST', { method: 'POST' }, (socket: TLSSocket) => socket.destroy()],
    ['a DELETE', { method: 'DELETE' }, (socket: TLSSocket) => socket.destroy()],
    ['a GET with a body', { bodyLength: 2 }, (socket: TLSSocket) => socket.destroy()],
    ['a GET of whose answer a byte has come', {}, (socket: TLSSocket) => socket.end('H')],
  ])('that was idle and fails lets %s fail', async (_what, request, fail) => {
    const { upstream, heads } = await script((socket, _head, nth) => {
      if (nth === 2) fail(socket)
      else socket.write(OK)
    })
    await answerOf(upstream)
    const answer = answerOf(upstream, request, 'bodyLength' in request ? [Buffer.from('ab')] : [])
    expect(await failureOf(answer)).toMatchObject({ status: { code: 502 } })
    expect(heads).toHaveLength(2)
  })
})

test('a GET whose answer has begun is not sent again when its connection is reset', async () => {
  const { upstream, server, heads } = await script((socket, _head, nth) =>
    socket.write(nth === 1 ? OK : 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
  )
  await answerOf(upstream)
  const { promise, resolve } = Promise.withResolvers<Error>()
  const data = (): boolean => {
    server.reset()
    return true
  }
  upstream.send(GET, sink({ data, error: resolve }), () => undefined)
  expect(await promise).toMatchObject({
    status: { code: 502 },
    detail: expect.stringContaining('ECONNRESET') as string,
  })
  expect(heads).toHaveLength(2)
})

describe('the number of connections', () => {
  test('is bounded: the next request waits for one, and one too many is turned away', async () => {
    const waiting: TLSSocket[] = []
    const { upstream, server } = await script((socket) => waiting.push(socket), { maxConnections: 1, maxWaiting: 1 })
    const first = answerOf(upstream)
    const second = answerOf(upstream)
    expect(await failureOf(answerOf(upstream))).toMatchObject({
      status: { code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 1 } },
    })
    await expect.poll(() => waiting.length).toBe(1)
    waiting[0]?.write(OK)
    await first
    await expect.poll(() => waiting.length).toBe(2)
    waiting[1]?.write(OK)
    await second
    expect(server.accepted).toBe(1)
  })

  test('lets a request wait only so long, and none that was aborted', async () => {
    const held: TLSSocket[] = []
    const { upstream, heads } = await script((socket) => held.push(socket), { maxConnections: 1, waitTimeoutMs: 30 })
    const first = answerOf(upstream)
    const aborted = upstream.send({ ...GET, target: '/aborted' }, sink(), () => undefined)
    const late = answerOf(upstream, { target: '/late' })
    aborted.abort()
    expect(await failureOf(late)).toMatchObject({ status: { code: 429 } })
    await expect.poll(() => held.length).toBe(1)
    held[0]?.write(OK)
    await first
    expect(heads.join()).not.toMatch(/late|aborted/)
  })

  test('has room again when a connection fails', async () => {
    const { upstream } = await script(
      (socket, _head, _request, connection) => {
        if (connection === 1) socket.destroy()
        else socket.write(OK)
      },
      { maxConnections: 1 },
    )
    const first = answerOf(upstream)
    const second = answerOf(upstream)
    expect(await failureOf(first)).toMatchObject({ status: { code: 502 } })
    expect((await second).statusCode).toBe(200)
  })
})

describe('whoever ends early ends the other side', () => {
  test('an abort closes the connection within a second, and the sink hears nothing more', async () => {
    const { upstream, server } = await script((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n'),
    )
    const heard: string[] = []
    const exchange = upstream.send(
      GET,
      sink({
        data: () => heard.push('data') > 0,
        end: () => heard.push('end'),
        error: () => heard.push('error'),
      }),
      () => undefined,
    )
    await expect.poll(() => heard).toEqual(['data'])
    exchange.abort()
    await expect.poll(() => server.open.size).toBe(0)
    await expect.poll(() => upstream.openConnections).toBe(0)
    exchange.abort()
    expect(heard).toEqual(['data'])
  })

  test('an abort while the connection is being dialled leaves none', async () => {
    const { upstream, server, heads } = await script((socket) => socket.write(OK))
    upstream.send(GET, sink(), () => undefined).abort()
    await expect.poll(() => upstream.openConnections).toBe(0)
    await answerOf(upstream)
    await expect.poll(() => server.open.size).toBe(1)
    expect(heads).toHaveLength(1)
  })

  test('an abort after the end does not harm the next request on the connection', async () => {
    const { upstream, server } = await script((socket, _head, request) => {
      if (request === 1) socket.write(OK)
    })
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const end = (): void => {
      resolve(undefined)
    }
    const first = upstream.send(GET, sink({ end }), () => undefined)
    await promise
    const second = answerOf(upstream)
    first.abort()
    first.resume()
    first.end()
    expect(first.write(Buffer.from('x'))).toBe(true)
    for (const socket of server.open) socket.write(OK)
    expect((await second).statusCode).toBe(200)
    expect(server.accepted).toBe(1)
  })

  test.each([
    ['destroys the connection', (socket: TLSSocket) => socket.destroy()],
    ['ends the connection', (socket: TLSSocket) => socket.end()],
  ])('a server that %s in the middle of a body gives an error, never an end', async (_what, leave) => {
    for (const head of ['Content-Length: 10\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n']) {
      const { upstream } = await script((socket) => socket.write(`HTTP/1.1 200 OK\r\n${head}`, () => leave(socket)))
      expect(await failureOf(answerOf(upstream))).toMatchObject({
        status: { code: 502, message: 'the API server of this socket broke off before its answer was whole' },
      })
    }
  })

  test('a body without a length ends with the connection', async () => {
    const { upstream } = await script((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'))
    expect((await answerOf(upstream)).body.toString()).toBe('to the end')
  })
})

describe('backpressure', () => {
  test('a slow reader of 200 MB is not waited for in memory', async () => {
    const piece = Buffer.alloc(MIB, 'x')
    let written = 0
    const upstream = await serve((_request, response) => {
      const more = (): void => {
        while (written < 200 * MIB) {
          written += piece.length
          if (!response.write(piece)) {
            response.once('drain', more)
            return
          }
        }
        response.end()
      }
      more()
    })
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    let received = 0
    let stopped = true
    let peakBytes = 0
    const exchange = upstream.send(
      GET,
      sink({
        data(chunk) {
          received += chunk.length
          peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers)
          if (stopped) return false
          setImmediate(() => {
            exchange.resume()
          })
          return false
        },
        end() {
          resolve(undefined)
        },
        error: reject,
      }),
      () => undefined,
    )
    // Nobody resumes: the server comes to a halt with what fits into the buffers of two sockets.
    await expect.poll(() => received).toBeGreaterThan(0)
    let before = -1
    await expect
      .poll(
        () => {
          const halted = written === before
          before = written
          return halted
        },
        { interval: 100 },
      )
      .toBe(true)
    expect(written).toBeLessThan(32 * MIB)
    expect(received).toBeLessThan(MIB)
    const startBytes = process.memoryUsage().arrayBuffers
    stopped = false
    exchange.resume()
    await promise
    expect(received).toBe(200 * MIB)
    expect(peakBytes - startBytes).toBeLessThan(48 * MIB)
  })

  test('a response that ends while it is paused leaves a connection that works', async () => {
    const { upstream, server } = await script((socket) => socket.write(OK))
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const end = (): void => {
      resolve(undefined)
    }
    upstream.send(GET, sink({ data: () => false, end }), () => undefined)
    await promise
    expect((await answerOf(upstream)).body.toString()).toBe('ok')
    expect(server.accepted).toBe(1)
  })

  test.each([64 * MIB, 'chunked'] as const)('a server that does not read holds up a body (%s)', async (bodyLength) => {
    const hash = createHash('sha256')
    let begin: (() => void) | undefined
    const upstream = await serve((request, response) => {
      begin = () => {
        request.on('data', (chunk: Buffer) => hash.update(chunk))
        request.on('end', () => response.end(hash.digest('hex')))
      }
    })
    const piece = randomBytes(MIB)
    const expected = createHash('sha256')
    let sent = 0
    let answer = ''
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    const pump = (): void => {
      while (sent < 64) {
        sent++
        expected.update(piece)
        if (!exchange.write(piece)) return
      }
      exchange.end()
    }
    const exchange = upstream.send(
      { ...GET, method: 'POST', bodyLength },
      sink({
        data: (chunk) => (answer += chunk.toString()).length > 0,
        end() {
          resolve(undefined)
        },
        error: reject,
      }),
      pump,
    )
    pump()
    expect(sent).toBe(1)
    await expect.poll(() => begin).toBeDefined()
    expect(sent).toBeLessThan(32)
    begin?.()
    await promise
    expect(answer).toBe(expected.digest('hex'))
  })
})

describe('a body', () => {
  test.each([
    ['shorter', ['abc']],
    ['longer', ['abc', 'def']],
  ])('that is %s than announced fails, and its connection is closed', async (_what, pieces) => {
    const { upstream, server } = await script(() => undefined)
    const answer = answerOf(
      upstream,
      { method: 'PUT', bodyLength: 5 },
      pieces.map((piece) => Buffer.from(piece)),
    )
    expect(await failureOf(answer)).toMatchObject({ status: { code: 400, reason: 'BadRequest' } })
    await expect.poll(() => upstream.openConnections).toBe(0)
    await expect.poll(() => server.open.size).toBe(0)
  })

  test('that was not sent to its end leaves no connection behind, though the answer ends well', async () => {
    const { upstream, server } = await script((socket, head) => {
      if (head.startsWith('GET')) socket.write(OK)
      else socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n')
    })
    const refused = Promise.withResolvers<number>()
    const ended = Promise.withResolvers<undefined>()
    const end = (): void => {
      ended.resolve(undefined)
    }
    const parts = sink({ head: refused.resolve, end })
    const exchange = upstream.send({ ...GET, method: 'POST', bodyLength: 2 }, parts, () => undefined)
    expect(await refused.promise).toBe(413)
    exchange.write(Buffer.from('ab'))
    exchange.end()
    for (const socket of server.open) socket.write('no')
    await ended.promise
    expect((await answerOf(upstream)).body.toString()).toBe('ok')
    expect(server.accepted).toBe(2)
  })

  test('is not sent further once the answer is a refusal', async () => {
    const { upstream } = await script((socket) => {
      socket.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\n')
    })
    const { promise, resolve } = Promise.withResolvers<number>()
    let drains = 0
    const exchange = upstream.send({ ...GET, method: 'POST', bodyLength: 100 * MIB }, sink({ head: resolve }), () => {
      drains++
    })
    expect(await promise).toBe(413)
    await expect.poll(() => drains).toBeGreaterThan(0)
    for (let i = 0; i < 100; i++) expect(exchange.write(Buffer.alloc(MIB))).toBe(true)
    exchange.end()
    exchange.abort()
  })
})

describe('time-outs', () => {
  test('a server that does not answer in time gives 504, and its connection is closed', async () => {
    const { upstream, server } = await script(() => undefined, { responseHeadTimeoutMs: 30 })
    const failure = await failureOf(answerOf(upstream))
    expect(failure.status).toMatchObject({ code: 504, reason: 'Timeout' })
    expect(failure.message).toBe('the API server of this socket did not answer in time')
    expect(failure.detail).toBe(`API server 127.0.0.1:${server.port}: no answer within 30 ms`)
    await expect.poll(() => server.open.size).toBe(0)
  })

  test('count from the end of the request, by the time of each request, on a used connection too', async () => {
    const sockets: TLSSocket[] = []
    const { upstream, server } = await script(
      (socket, head) => {
        sockets.push(socket)
        if (head.includes('/first')) socket.write(OK)
      },
      { responseHeadTimeoutMs: 300 },
    )
    await answerOf(upstream, { target: '/first' })
    const patient = answerOf(upstream, { responseHeadTimeoutMs: Infinity })
    await expect.poll(() => sockets.length).toBe(2)
    const uploading = upstream.send({ ...GET, method: 'POST', bodyLength: 1 }, sink(), () => undefined)
    // By then the first time-out of the patient one's connection has long passed.
    expect(await failureOf(answerOf(upstream))).toMatchObject({ status: { code: 504 } })
    expect(await failureOf(answerOf(upstream, { responseHeadTimeoutMs: 310 }))).toMatchObject({ status: { code: 504 } })
    expect(server.open.size).toBeGreaterThanOrEqual(2)
    uploading.abort()
    sockets[1]?.write(OK)
    expect((await patient).body.toString()).toBe('ok')
  })

  test('do not end a body that has begun', async () => {
    const { upstream } = await script(
      (socket, head) => {
        if (head.includes('/watch')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      },
      { responseHeadTimeoutMs: 20 },
    )
    const heard: string[] = []
    upstream.send(
      { ...GET, target: '/watch' },
      sink({ head: () => heard.push('head'), error: () => heard.push('error') }),
      () => undefined,
    )
    await expect.poll(() => heard).toEqual(['head'])
    await failureOf(answerOf(upstream))
    await failureOf(answerOf(upstream))
    expect(heard).toEqual(['head'])
  })
})

describe('the credential', () => {
  test('in a file is taken from there again after a 401', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-upstream-'))
    onTestFinished(() => {
      rmSync(directory, { recursive: true })
    })
    const file = join(directory, 'token')
    writeFileSync(file, 'old')
    const seen: string[] = []
    const server = await startScriptedServer(certificate, (socket) => {
      onRequestHead(socket, (head) => {
        const token = /Bearer (\S+)/.exec(head)?.[1] ?? ''
        seen.push(token)
        socket.write(token === 'new' ? OK : 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
      })
    })
    const upstream = await openUpstream({ server: server.url, ...trust, token: { file } })
    writeFileSync(file, 'new')
    expect((await answerOf(upstream)).statusCode).toBe(401)
    await expect.poll(async () => (await answerOf(upstream)).statusCode).toBe(200)
    expect(new Set(seen)).toEqual(new Set(['old', 'new']))
  })
})

describe('close', () => {
  test('ends everything, and nothing is left open', async () => {
    const sockets = (): string[] => process.getActiveResourcesInfo().filter((name) => /TCPSocket|TLS/.test(name))
    const { upstream, server } = await script(
      (socket, head) => {
        if (head.includes('/idle')) socket.write(OK)
      },
      { maxConnections: 3 },
    )
    await Promise.all([answerOf(upstream, { target: '/idle' }), answerOf(upstream, { target: '/idle' })])
    const active = answerOf(upstream)
    const alsoActive = answerOf(upstream)
    const dialling = answerOf(upstream)
    const waiting = answerOf(upstream)
    upstream.close()
    for (const answer of [active, alsoActive, dialling, waiting, answerOf(upstream)]) {
      const failure: StatusError = await failureOf(answer)
      expect(failure.status).toMatchObject({ code: 503, reason: 'ServiceUnavailable' })
    }
    await expect.poll(() => upstream.openConnections).toBe(0)
    await expect.poll(() => server.open.size).toBe(0)
    await expect.poll(sockets).toEqual([])
  })

  test('may come in the middle of an answer', async () => {
    const { upstream } = await script((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx'))
    const { promise, resolve } = Promise.withResolvers<Error>()
    const data = (): boolean => {
      upstream.close()
      return true
    }
    upstream.send(GET, sink({ data, error: resolve }), () => undefined)
    expect(await promise).toMatchObject({ status: { code: 503 } })
  })
})
