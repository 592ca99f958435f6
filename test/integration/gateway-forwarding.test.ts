import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

const SOCKET = '/sockets/production'
const PODS = `${SOCKET}/api/v1/namespaces/default/pods`

let gateway: StagedGateway
let answerList: StagedGateway['apiServer']['onRequest']

beforeAll(async () => {
  gateway = await startStagedGateway({ hosts: ['production.example.com'] })
  answerList = gateway.apiServer.onRequest
})
afterAll(async () => {
  await gateway.stop()
})
beforeEach(() => {
  gateway.apiServer.seen.length = 0
})
afterEach(() => {
  gateway.apiServer.onRequest = answerList
})

function header(rawHeaders: readonly string[] | undefined, name: string): string[] {
  return (rawHeaders ?? []).filter((_, i) => i % 2 === 1 && rawHeaders?.[i - 1]?.toLowerCase() === name)
}

describe('a plain request', () => {
  it('reaches the API server with its target, the allowed headers and our credential, and nothing else', async () => {
    const { statusCode, body } = await gateway.fetch(`${PODS}?limit=5`, {
      headers: {
        Accept: 'application/json',
        'User-Agent': 'kubectl/v1.36',
        Cookie: 'a=b',
        'X-Remote-User': 'root',
        'X-Forwarded-For': '192.0.2.1',
        'Audit-ID': 'mine',
        'Kubectl-Command': 'kubectl get',
      },
    })
    expect(statusCode).toBe(200)
    expect(body).toBe('{"items":[]}')
    const [seen] = gateway.apiServer.seen
    expect(seen).toMatchObject({ method: 'GET', target: '/api/v1/namespaces/default/pods?limit=5' })
    const names = (seen?.rawHeaders ?? []).filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
    expect(names.toSorted()).toEqual(['accept', 'audit-id', 'authorization', 'host', 'kubectl-command', 'user-agent'])
    expect(header(seen?.rawHeaders, 'authorization')).toEqual([`Bearer ${gateway.apiServer.token}`])
    expect(header(seen?.rawHeaders, 'audit-id')).not.toEqual(['mine'])
  })

  it('comes back with the audit id that the API server saw', async () => {
    const { headers } = await gateway.fetch(PODS)
    expect(header(gateway.apiServer.seen[0]?.rawHeaders, 'audit-id')).toEqual([headers['audit-id']])
  })

  it('comes back without what belongs to the API server’s own origin and hop', async () => {
    gateway.apiServer.onRequest = (request, response) => {
      request.resume()
      response.writeHead(200, {
        'Set-Cookie': 'a=b',
        Server: 'x',
        'Alt-Svc': 'h3=":1"',
        'X-Kept': 'yes',
        Warning: '299 - "old"',
      })
      response.end('{}')
    }
    const { headers } = await gateway.fetch(PODS)
    expect(headers).toMatchObject({ 'x-kept': 'yes', warning: '299 - "old"' })
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['set-cookie']))
    expect(headers).not.toHaveProperty('server')
    expect(headers).not.toHaveProperty('alt-svc')
  })

  it.each(['http/1.1', 'h2'] as const)('carries bodies both ways over %s, byte for byte', async (protocol) => {
    const sent = randomBytes(3_000_000)
    gateway.apiServer.onRequest = (request, response) => {
      response.writeHead(201)
      request.pipe(response)
    }
    const received = protocol === 'h2' ? await postOverHttp2(PODS, sent) : await postOverHttp1(PODS, sent)
    expect(createHash('sha256').update(received).digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'))
  })

  it('has no body where HTTP knows none', async () => {
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(200, { 'Content-Length': 12 }).end()
    }
    const head = await gateway.fetch(PODS, { method: 'HEAD' })
    expect(head).toMatchObject({ statusCode: 200, body: '', headers: { 'content-length': '12' } })
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(304).end()
    }
    expect(await gateway.fetch(PODS)).toMatchObject({ statusCode: 304, body: '' })
  })

  it('waits for 100 Continue only when it may go on', async () => {
    const continued: string[] = []
    for (const path of [PODS, `${SOCKET}/api/v1/namespaces/payments/pods`]) {
      const socket = await gateway.raw()
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.token}\r\nContent-Length: 2\r\n` +
          'Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n',
      )
      const [first] = (await once(socket, 'data')) as [Buffer]
      continued.push(first.toString('latin1').slice(9, 12))
      socket.destroy()
    }
    expect(continued).toEqual(['100', '403'])
    expect(gateway.apiServer.seen.map(({ target }) => target)).not.toContain('/api/v1/namespaces/payments/pods')
  })

  it('that breaks off upstream is not taken for whole', async () => {
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json' })
      response.write('{"items":[', () => {
        response.destroy()
      })
    }
    await expect(gateway.fetch(PODS)).rejects.toThrow()
    const stream = http2Request(PODS)
    let ended = false
    stream.resume().once('end', () => (ended = true))
    await once(stream, 'close').catch(() => undefined)
    expect(stream.rstCode).not.toBe(0)
    expect(ended).toBe(false)
  })

  it.each([
    'https://evil.example/',
    '/api/v1/nodes',
    '//evil.example',
    `/api/v1/namespaces/default/pods/x/proxy/../..`,
  ])('is never redirected to %s', async (location) => {
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(302, { Location: location }).end()
    }
    const { statusCode, headers } = await gateway.fetch(`${PODS}/x/proxy/`)
    expect(statusCode).toBe(502)
    expect(headers).not.toHaveProperty('location')
  })

  it('is redirected within what was authorized, under the address that the client knows', async () => {
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(302, { Location: '/api/v1/namespaces/default/pods/x/proxy/login?next=a' }).end()
    }
    const { headers } = await gateway.fetch(`${PODS}/x/proxy/`)
    expect(headers.location).toBe(`${PODS}/x/proxy/login?next=a`)
    expect(headers['content-security-policy']).toBe('sandbox')
  })

  it('that fails for the connector’s own credential is not taken for the person’s', async () => {
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end('{}')
    }
    const { statusCode, body, headers } = await gateway.fetch(PODS)
    expect(statusCode).toBe(502)
    expect(body).toContain('credential of this gateway')
    expect(headers).not.toHaveProperty('www-authenticate')
  })

  it('gets its own answer among many at a time', async () => {
    gateway.apiServer.onRequest = (request, response) => {
      const body = (request.url ?? '').repeat(2_000)
      response.writeHead(200)
      response.write(body.slice(0, body.length / 2), () =>
        setImmediate(() => response.end(body.slice(body.length / 2))),
      )
    }
    const names = Array.from({ length: 60 }, (_, i) => `web-${i}`)
    const answers = await Promise.all(names.map((name) => gateway.fetch(`${PODS}/${name}`)))
    for (const [i, { body }] of answers.entries()) {
      expect(body === `/api/v1/namespaces/default/pods/web-${i}`.repeat(2_000)).toBe(true)
    }
  })

  it('finds its socket by host name, and not where host and path disagree', async () => {
    const socket = await gateway.raw()
    socket.write(
      `GET /api/v1/namespaces/default/pods HTTP/1.1\r\nHost: Production.example.com:8443\r\nAuthorization: Bearer ${gateway.token}\r\n\r\n`,
    )
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /)
    socket.destroy()
  })

  it.each([
    ['/sockets/staging/api', 404, 'NotFound'],
    ['/sockets/%70roduction/api', 404, 'NotFound'],
    ['/api', 404, 'NotFound'],
    [`${SOCKET}/api/v1/../../version`, 400, 'BadRequest'],
  ])('to %s is refused with %s', async (path, code, reason) => {
    const { statusCode, body, headers } = await gateway.fetch(path)
    expect(statusCode).toBe(code)
    expect(JSON.parse(body)).toMatchObject({ kind: 'Status', reason, code })
    expect(body).toContain(headers['audit-id'])
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('without a credential is answered 401, with the command to run', async () => {
    const { statusCode, body, headers } = await gateway.fetch(PODS, { anonymous: true })
    expect(statusCode).toBe(401)
    expect(headers['www-authenticate']).toMatch(/^Bearer/)
    expect(body).toContain('postern client login')
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('that is denied is told why, and its unread body does not break the answer', async () => {
    const path = `${SOCKET}/api/v1/namespaces/payments/pods`
    const { statusCode, body } = await gateway.fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: Buffer.alloc(3_000_000, 'x'),
    })
    expect(statusCode).toBe(403)
    expect(body).toContain('User \\"ana@example.com\\" cannot create resource \\"pods\\"')
    expect(body).toContain('namespaces: [payments]')
    const stream = http2Request(path, { ':method': 'POST' }, Buffer.alloc(3_000_000, 'x'))
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect(headers[':status' as never]).toBe(403)
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('that asks to act as somebody else is refused without a rule for it', async () => {
    const { statusCode, body } = await gateway.fetch(PODS, { headers: { 'Impersonate-User': 'system:admin' } })
    expect(statusCode).toBe(403)
    expect(body).toContain('cannot impersonate resource \\"users\\"')
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('leaves exactly one event', async () => {
    const answers = await Promise.all([
      gateway.fetch(PODS),
      gateway.fetch(PODS, { anonymous: true }),
      gateway.fetch(`${SOCKET}/api/v1/secrets`),
      gateway.fetch('/nowhere'),
    ])
    for (const { headers, statusCode } of answers) {
      await expect
        .poll(async () => (await gateway.events()).filter(({ auditID }) => auditID === headers['audit-id']))
        .toEqual([
          expect.objectContaining({
            stage: 'ResponseComplete',
            responseStatus: expect.objectContaining({ code: statusCode }) as unknown,
          }),
        ])
    }
    expect(JSON.stringify(await gateway.events())).not.toMatch(/eyJ|token-of-the-connector/)
  })
})

describe('a request over HTTP/2', () => {
  it('does not pass through the compatibility layer', async () => {
    const stream = http2Request(PODS)
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(headers[':status']).toBe(200)
    expect(Buffer.concat((await stream.toArray()) as Buffer[]).toString()).toBe('{"items":[]}')
    expect(gateway.apiServer.seen).toHaveLength(1)
  })

  it('whose body is not as long as announced does not reach the API server as a whole one', async () => {
    const ended: boolean[] = []
    gateway.apiServer.onRequest = (request, response) => {
      request.resume().once('close', () => ended.push(request.complete))
      response.on('error', () => undefined)
    }
    const stream = http2Request(PODS, { ':method': 'POST', 'content-length': '100' }, Buffer.from('short'))
    await once(stream, 'close').catch(() => undefined)
    expect(stream.rstCode).not.toBe(0)
    await expect.poll(() => gateway.apiServer.seen.length === ended.length).toBe(true)
    expect(ended).not.toContain(true)
  })
})

function http2Request(path: string, headers: Record<string, string> = {}, body?: Buffer): ClientHttp2Stream {
  const session = gateway.http2()
  const stream = session.request(
    { ':path': path, authorization: `Bearer ${gateway.token}`, ...headers },
    { endStream: body === undefined },
  )
  stream.on('error', () => undefined)
  if (body !== undefined) stream.end(body)
  return stream
}

async function postOverHttp2(path: string, body: Buffer): Promise<Buffer> {
  const stream = http2Request(path, { ':method': 'POST' }, body)
  return Buffer.concat((await stream.toArray()) as Buffer[])
}

async function postOverHttp1(path: string, body: Buffer): Promise<Buffer> {
  const response = await gateway.open(path, { method: 'POST', body })
  return Buffer.concat((await response.toArray()) as Buffer[])
}
