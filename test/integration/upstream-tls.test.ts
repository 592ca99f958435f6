import { once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { onRequestHead, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts'
import { answerOf, failureOf, openUpstream } from '../support/upstream-requests.ts'

// Attack I3.

const authority = createCertificateAuthority()
const trust = { certificateAuthority: { value: authority.certificate } }
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A server that answers everything, and keeps what reached it. */
async function answering(
  certificate = authority.issueServer(),
  options: Parameters<typeof startScriptedServer>[2] = {},
): Promise<{ readonly server: ScriptedServer; readonly heads: string[] }> {
  const heads: string[] = []
  const server = await startScriptedServer(
    certificate,
    (socket) => {
      onRequestHead(socket, (head) => {
        heads.push(head)
        socket.write(OK)
      })
    },
    options,
  )
  return { server, heads }
}

/** A TCP server whose connections get this treatment. */
async function tcpServer(treat: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    treat(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('an API server whose certificate does not hold gets nothing from us', () => {
  test.each([
    [
      'was issued by another authority',
      createCertificateAuthority('somebody else').issueServer(),
      /self-signed certificate|unable to verify/,
    ],
    [
      'is for another name',
      authority.issueServer({ hosts: ['other.example', '10.1.2.3'] }),
      /does not match certificate's altnames|is not in the cert's list/,
    ],
    ['has expired', authority.issueServer({ expired: true }), /certificate has expired/],
  ])('that %s', async (_what, certificate, detail) => {
    const { server, heads } = await answering(certificate)
    const upstream = await openUpstream({ server: server.url, ...trust })
    const failure = await failureOf(answerOf(upstream, { method: 'POST', bodyLength: 4 }, [Buffer.from('body')]))
    expect(failure.status).toMatchObject({ code: 503, reason: 'ServiceUnavailable' })
    expect(failure.message).toBe('the API server of this socket cannot be reached')
    expect(failure.detail).toMatch(detail)
    expect(failure.detail).not.toMatch(/[\r\n]/)
    await expect.poll(() => upstream.openConnections).toBe(0)
    expect(heads).toEqual([])
    await expect(
      upstream.upgrade(
        { method: 'GET', target: '/', headers: [], bodyLength: 0 },
        'SPDY/3.1',
        new AbortController().signal,
      ),
    ).rejects.toMatchObject({ status: { code: 503 } })
    expect(heads).toEqual([])
  })

  test('that is for another name than the one to verify', async () => {
    const { server, heads } = await answering()
    const upstream = await openUpstream({ server: server.url, ...trust, tlsServerName: 'kubernetes.default' })
    expect((await failureOf(answerOf(upstream))).detail).toContain('kubernetes.default')
    expect(heads).toEqual([])
  })
})

test('the name to verify is also the one that is asked for', async () => {
  const names: (string | undefined)[] = []
  const certificate = authority.issueServer({ hosts: ['kubernetes.default'] })
  const { server } = await answering(certificate, {
    SNICallback(name, done) {
      names.push(name)
      done(null)
    },
  })
  const upstream = await openUpstream({ server: server.url, ...trust, tlsServerName: 'kubernetes.default' })
  expect((await answerOf(upstream)).statusCode).toBe(200)
  expect(names).toEqual(['kubernetes.default'])
})

test('an address is verified as such', async () => {
  const { server } = await answering(authority.issueServer({ hosts: ['10.1.2.3'] }))
  const upstream = await openUpstream({ server: server.url, ...trust, tlsServerName: '10.1.2.3' })
  expect((await answerOf(upstream)).statusCode).toBe(200)
})

test('a host name is dialled and verified', async () => {
  const { server } = await answering(authority.issueServer({ hosts: ['localhost'] }))
  const upstream = await openUpstream({ server: server.url.replace('127.0.0.1', 'localhost'), ...trust })
  expect((await answerOf(upstream)).statusCode).toBe(200)
})

test('TLS before 1.2 is not spoken', async () => {
  const { server, heads } = await answering(authority.issueServer(), {
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  })
  const upstream = await openUpstream({ server: server.url, ...trust })
  expect((await failureOf(answerOf(upstream))).status.code).toBe(503)
  expect(heads).toEqual([])
})

test('TLS 1.2 is, and its sessions are resumed', async () => {
  const reused: boolean[] = []
  const server = await startScriptedServer(
    authority.issueServer(),
    (socket) => {
      reused.push(socket.isSessionReused())
      onRequestHead(socket, () => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'))
    },
    { maxVersion: 'TLSv1.2' },
  )
  const upstream = await openUpstream({ server: server.url, ...trust })
  await answerOf(upstream)
  await answerOf(upstream)
  expect(reused).toEqual([false, true])
})

describe('a client certificate', () => {
  const client = authority.issueClient({ commonName: 'postern', organizations: ['system:masters'] })

  test('says who we are, and no token is sent', async () => {
    const subjects: unknown[] = []
    const heads: string[] = []
    const server = await startScriptedServer(
      authority.issueServer(),
      (socket) => {
        subjects.push(socket.getPeerCertificate().subject.CN)
        onRequestHead(socket, (head) => {
          heads.push(head)
          socket.write(OK)
        })
      },
      { requestCert: true, ca: authority.certificate },
    )
    const upstream = await openUpstream({
      ...{ server: server.url, ...trust, token: undefined },
      clientCertificate: { certificate: { value: client.cert }, key: { value: client.key } },
    })
    expect((await answerOf(upstream)).statusCode).toBe(200)
    expect(subjects).toEqual(['postern'])
    expect(heads.join()).not.toMatch(/authorization/i)
  })

  test('that the API server does not accept makes it unusable, in words', async () => {
    const stranger = createCertificateAuthority('stranger').issueClient({ commonName: 'x' })
    const { server, heads } = await answering(authority.issueServer(), { requestCert: true, ca: authority.certificate })
    const upstream = await openUpstream({
      ...{ server: server.url, ...trust },
      clientCertificate: { certificate: { value: stranger.cert }, key: { value: stranger.key } },
    })
    expect([502, 503]).toContain((await failureOf(answerOf(upstream))).status.code)
    expect(heads).toEqual([])
  })

  test('that has expired is sent all the same, and told as a problem', async () => {
    const late = authority.issueClient({ commonName: 'late', expired: true })
    const upstream = await openUpstream({
      ...{ server: 'https://127.0.0.1:1', ...trust },
      clientCertificate: { certificate: { value: late.cert }, key: { value: late.key } },
    })
    expect(upstream.problem).toMatch(/^the client certificate expired on /)
  })
})

describe('an API server that cannot be reached', () => {
  test('gives 503 with the address only in the detail, and is used again once it is back', async () => {
    const certificate = authority.issueServer()
    const first = await answering(certificate)
    const { port, url } = first.server
    const upstream = await openUpstream({ server: url, ...trust })
    await answerOf(upstream)
    await first.server.close()
    await expect.poll(() => upstream.openConnections).toBe(0)
    const failure = await failureOf(answerOf(upstream))
    expect(failure.status).toMatchObject({ code: 503, reason: 'ServiceUnavailable' })
    expect(JSON.stringify(failure.status)).not.toContain(String(port))
    expect(failure.detail).toBe(`API server 127.0.0.1:${port}: cannot connect: connect ECONNREFUSED 127.0.0.1:${port}`)
    const second = await answering(certificate, { port })
    expect((await answerOf(upstream)).body.toString()).toBe('ok')
    expect(second.heads).toHaveLength(1)
  })

  test('for its name is not known gives 503', async () => {
    const upstream = await openUpstream({ server: 'https://api.invalid:6443', ...trust })
    const failure = await failureOf(answerOf(upstream))
    expect(failure.status.code).toBe(503)
    expect(failure.detail).toMatch(/^API server api\.invalid:6443: cannot connect: getaddrinfo /)
  })

  test('for it does not finish the handshake gives 503 in time', async () => {
    const server = await tcpServer(() => undefined)
    const upstream = await openUpstream({ server, ...trust }, { handshakeTimeoutMs: 30 })
    const failure = await failureOf(answerOf(upstream))
    expect(failure.status.code).toBe(503)
    expect(failure.detail).toContain('no TLS handshake within 30 ms')
    await expect.poll(() => upstream.openConnections).toBe(0)
  })

  test.each<[string, (socket: Socket) => void]>([
    ['speaks no TLS', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['hangs up', (socket) => socket.destroy()],
    ['hangs up in order', (socket) => socket.end()],
  ])('for it %s gives 503', async (_what, treat) => {
    const upstream = await openUpstream({ server: await tcpServer(treat), ...trust })
    const failure = await failureOf(answerOf(upstream))
    expect(failure.status.code).toBe(503)
    expect(failure.detail).toMatch(/: cannot connect: .+/)
    expect(failure.detail).not.toMatch(/[\r\n]/)
  })
})
