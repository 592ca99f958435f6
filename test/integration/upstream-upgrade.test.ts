import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { UpstreamClient } from '../../src/upstream/upstream-client.ts'
import type { UpstreamLimits } from '../../src/upstream/upstream-limits.ts'
import type { UpgradeAnswer, UpstreamRequest } from '../../src/upstream/upstream.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { onRequestHead, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts'
import { answerOf, openUpstream } from '../support/upstream-requests.ts'

const authority = createCertificateAuthority()
const certificate = authority.issueServer()

const EXEC: UpstreamRequest = {
  method: 'POST',
  target: '/api/v1/namespaces/default/pods/web/exec?command=sh',
  headers: ['X-Stream-Protocol-Version', 'v4.channel.k8s.io'],
  bodyLength: 0,
}
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-A: b\r\n\r\n'
const NEVER = new AbortController().signal

async function script(
  answer: (socket: TLSSocket, head: string) => void,
  { allowHalfOpen = false, ...limits }: Partial<UpstreamLimits> & { readonly allowHalfOpen?: boolean } = {},
): Promise<{ readonly server: ScriptedServer; readonly upstream: UpstreamClient; readonly heads: string[] }> {
  const heads: string[] = []
  const server = await startScriptedServer(
    certificate,
    (socket) => {
      onRequestHead(socket, (head) => {
        heads.push(head)
        answer(socket, head)
      })
    },
    { allowHalfOpen },
  )
  const trust = { certificateAuthority: { value: authority.certificate } }
  return { server, upstream: await openUpstream({ server: server.url, ...trust }, limits), heads }
}

function switched(answer: UpgradeAnswer): Extract<UpgradeAnswer, { statusCode: 101 }> {
  if (answer.socket === null) throw new Error(`expected a 101, got ${answer.statusCode}`)
  const { socket } = answer
  onTestFinished(() => {
    socket.destroy()
  })
  return answer
}

describe('an upgrade that is granted', () => {
  test('asks in our own words, and hands over the socket with the bytes behind the head', async () => {
    const { upstream, heads, server } = await script((socket) => socket.write(`${SWITCHED}early`))
    const answer = switched(await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER))
    expect(heads).toEqual([
      [
        'POST /api/v1/namespaces/default/pods/web/exec?command=sh HTTP/1.1',
        `Host: 127.0.0.1:${server.port}`,
        'X-Stream-Protocol-Version: v4.channel.k8s.io',
        'Authorization: Bearer connector-token',
        'Connection: Upgrade',
        'Upgrade: SPDY/3.1',
        'Content-Length: 0',
        '',
      ].join('\r\n'),
    ])
    expect(answer).toMatchObject({ statusCode: 101, protocol: 'SPDY/3.1', headers: ['X-A', 'b'] })
    let text = ''
    answer.read((view) => (text += view.toString()))
    await expect.poll(() => text).toBe('early')
    expect(upstream.openConnections).toBe(1)
  })

  test('relays raw bytes both ways, half-closing included', async () => {
    const { upstream } = await script(
      (socket) => {
        socket.removeAllListeners('data')
        socket.on('data', (chunk: Buffer) => socket.write(chunk))
        socket.on('end', () => socket.end('bye'))
        socket.write(SWITCHED)
      },
      { allowHalfOpen: true },
    )
    const { socket, read } = switched(await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER))
    let text = ''
    read((view) => (text += view.toString()))
    socket.write('ping')
    await expect.poll(() => text).toBe('ping')
    socket.end()
    await once(socket, 'close')
    expect(text).toBe('pingbye')
    expect(upstream.openConnections).toBe(0)
  })

  test('in pieces is the same', async () => {
    const { upstream } = await script((socket) => {
      const text = `HTTP/1.1 100 Continue\r\n\r\n${SWITCHED}early`
      let at = 0
      const next = (): void => {
        if (at < text.length) socket.write(text.charAt(at++), () => setImmediate(next))
      }
      next()
    })
    const { read } = switched(await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER))
    let text = ''
    read((view) => (text += view.toString()))
    await expect.poll(() => text).toBe('early')
  })

  test('says what the server switched to, whatever that is', async () => {
    const { upstream } = await script((socket, head) =>
      socket.write(SWITCHED.replace('Upgrade: SPDY/3.1\r\n', head.includes('/none') ? '' : 'Upgrade: h2c\r\n')),
    )
    expect(switched(await upstream.upgrade(EXEC, 'websocket', NEVER)).protocol).toBe('h2c')
    expect(switched(await upstream.upgrade({ ...EXEC, target: '/none' }, 'websocket', NEVER)).protocol).toBe('')
  })

  test('survives an error of the socket before anybody listens', async () => {
    const { upstream, server } = await script((socket) => socket.write(SWITCHED))
    const { socket } = switched(await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER))
    socket.resume()
    server.reset()
    await expect.poll(() => socket.errored).toBeInstanceOf(Error)
    expect(socket.destroyed).toBe(true)
    await expect.poll(() => upstream.openConnections).toBe(0)
  })

  test('ends when the upstream is closed', async () => {
    const { upstream, server } = await script((socket) => socket.write(SWITCHED))
    const { socket } = switched(await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER))
    upstream.close()
    await once(socket, 'close')
    await expect.poll(() => server.open.size).toBe(0)
    expect(upstream.openConnections).toBe(0)
  })
})

describe('an upgrade that is not granted', () => {
  test.each([
    ['HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope', 403, 'nope'],
    ['HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n', 400, 'nope'],
    ['HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n', 200, ''],
    ['HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n', 302, ''],
  ])('hands over the answer %j, and the connection is gone', async (text, statusCode, body) => {
    const { upstream, server, heads } = await script((socket) => socket.write(text))
    const answer = await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER)
    expect(answer).toMatchObject({ statusCode, socket: null })
    expect(answer.socket === null && answer.body.toString()).toBe(body)
    await expect.poll(() => server.open.size).toBe(0)
    expect(upstream.openConnections).toBe(0)
    expect(heads).toHaveLength(1)
  })

  test('keeps no more than 64 KiB of an endless body', async () => {
    const { upstream, server } = await script((socket) => {
      socket.write('HTTP/1.1 500 Internal Server Error\r\n\r\n')
      const more = (): void => {
        while (!socket.destroyed && socket.write('x'.repeat(10_000))) {
          // Until the buffer is full.
        }
        socket.once('drain', more)
      }
      more()
    })
    const answer = await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER)
    expect(answer.socket === null && answer.body.length).toBe(64 * 1024)
    await expect.poll(() => server.open.size).toBe(0)
  })

  test.each([
    ['nonsense', 'nonsense', 'gave an answer that is not valid HTTP'],
    ['a 101 with a body', 'HTTP/1.1 101 X\r\nUpgrade: SPDY/3.1\r\nContent-Length: 5\r\n\r\n', 'not valid HTTP'],
    ['endless interim answers', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(9), 'not valid HTTP'],
  ])('with %s gives 502', async (_what, text, message) => {
    const { upstream, server } = await script((socket) => socket.write(text))
    const answer = upstream.upgrade(EXEC, 'SPDY/3.1', NEVER)
    await expect(answer).rejects.toMatchObject({ status: { code: 502, reason: 'BadGateway' } })
    await expect(answer).rejects.toThrow(message)
    await expect.poll(() => server.open.size).toBe(0)
  })

  test.each([
    ['at once', ''],
    ['in the head', 'HTTP/1.1 101 Swi'],
    ['in the body of a refusal', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nno'],
  ])('because the connection ends %s gives 502', async (_what, text) => {
    for (const leave of ['end', 'destroy'] as const) {
      const { upstream } = await script((socket) => {
        socket.write(text)
        if (leave === 'end') socket.end()
        else setImmediate(() => socket.destroy())
      })
      const answer = upstream.upgrade(EXEC, 'SPDY/3.1', NEVER)
      await expect(answer).rejects.toMatchObject({
        status: { code: 502, message: 'the API server of this socket broke off before its answer was whole' },
      })
      await expect.poll(() => upstream.openConnections).toBe(0)
    }
  })

  test('in time gives 504', async () => {
    const { upstream, server } = await script(() => undefined)
    const answer = upstream.upgrade({ ...EXEC, responseHeadTimeoutMs: 30 }, 'SPDY/3.1', NEVER)
    await expect(answer).rejects.toMatchObject({ status: { code: 504, reason: 'Timeout' } })
    await expect.poll(() => server.open.size).toBe(0)
  })

  test('because nobody listens gives 503', async () => {
    const { upstream, server } = await script(() => undefined)
    await server.close()
    await expect(upstream.upgrade(EXEC, 'SPDY/3.1', NEVER)).rejects.toMatchObject({ status: { code: 503 } })
  })

  test('because there are connections enough gives 429, and there is room again later', async () => {
    const { upstream } = await script(
      (socket, head) => socket.write(head.startsWith('GET') ? 'HTTP/1.1 204 No Content\r\n\r\n' : SWITCHED),
      { maxConnections: 1 },
    )
    const { socket } = switched(await upstream.upgrade(EXEC, 'SPDY/3.1', NEVER))
    await expect(upstream.upgrade(EXEC, 'SPDY/3.1', NEVER)).rejects.toMatchObject({ status: { code: 429 } })
    const waiting = answerOf(upstream)
    socket.destroy()
    expect((await waiting).statusCode).toBe(204)
  })

  test('because the caller gave up rejects with the reason', async () => {
    const reason = new Error('the client has gone')
    await expect(
      (await script(() => undefined)).upstream.upgrade(EXEC, 'SPDY/3.1', AbortSignal.abort(reason)),
    ).rejects.toBe(reason)
    const dialling = new AbortController()
    const { upstream, server, heads } = await script(() => {
      dialling.abort(reason)
    })
    await expect(upstream.upgrade(EXEC, 'SPDY/3.1', dialling.signal)).rejects.toBe(reason)
    await expect.poll(() => upstream.openConnections).toBe(0)
    await expect.poll(() => server.open.size).toBe(0)
    expect(heads).toHaveLength(1)
  })

  test('because the caller asks for what cannot be sent rejects, and nothing is dialled', async () => {
    const { upstream, server } = await script(() => undefined)
    await expect(upstream.upgrade({ ...EXEC, headers: ['Upgrade', 'x'] }, 'SPDY/3.1', NEVER)).rejects.toThrow(TypeError)
    await expect(upstream.upgrade(EXEC, 'a, b', NEVER)).rejects.toThrow(TypeError)
    expect(server.accepted).toBe(0)
    expect(upstream.openConnections).toBe(0)
  })
})
