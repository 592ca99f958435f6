import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

const POD = '/sockets/production/api/v1/namespaces/default/pods/web'
const SPDY = [
  'Upgrade: SPDY/3.1',
  'X-Stream-Protocol-Version: v4.channel.k8s.io',
  'X-Stream-Protocol-Version: v3.channel.k8s.io',
]
const WEBSOCKET = [
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
]
const SWITCHED_SPDY =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n'

let gateway: StagedGateway
let upstreams: Duplex[]
let clients: TLSSocket[]

beforeAll(async () => {
  gateway = await startStagedGateway()
})
afterAll(async () => {
  await gateway.stop()
})
beforeEach(() => {
  upstreams = []
  clients = []
  gateway.apiServer.seen.length = 0
  answer(SWITCHED_SPDY)
})
afterEach(() => {
  for (const client of clients) client.destroy()
})

function answer(bytes: string): void {
  gateway.apiServer.onUpgrade = (_request, socket) => {
    upstreams.push(socket)
    socket.write(bytes, 'latin1')
  }
}

async function ask(path: string, lines: readonly string[], method = 'POST', after = ''): Promise<TLSSocket> {
  const client = await gateway.raw()
  clients.push(client)
  const head = [
    `${method} ${path} HTTP/1.1`,
    'Host: x',
    `Authorization: Bearer ${gateway.token}`,
    'Connection: Upgrade',
    ...lines,
  ]
  client.write(`${head.join('\r\n')}\r\n\r\n${after}`, 'latin1')
  return client
}

async function firstBytes(client: TLSSocket): Promise<string> {
  const [bytes] = (await once(client, 'data')) as [Buffer]
  return bytes.toString('latin1')
}

async function everything(client: TLSSocket): Promise<string> {
  return Buffer.concat((await client.toArray()) as Buffer[]).toString('latin1')
}

describe('an upgrade', () => {
  it('joins both sides once the API server has switched', async () => {
    const client = await ask(`${POD}/exec?command=sh&stdin=true`, SPDY)
    const head = await firstBytes(client)
    expect(head).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
    expect(head).toMatch(/\r\nUpgrade: SPDY\/3\.1\r\n/)
    expect(head).toMatch(/\r\nX-Stream-Protocol-Version: v4\.channel\.k8s\.io\r\n/i)
    const [upstream] = upstreams
    const up = randomBytes(1_000_000)
    client.write(up)
    const got: Buffer[] = []
    upstream?.on('data', (chunk: Buffer) => got.push(chunk))
    await expect.poll(() => Buffer.concat(got).equals(up)).toBe(true)
    upstream?.write('from the API server')
    expect(await firstBytes(client)).toBe('from the API server')
    const [seen] = gateway.apiServer.seen
    expect(seen?.rawHeaders.filter((text) => text.toLowerCase() === 'x-stream-protocol-version')).toHaveLength(2)
    expect(seen?.rawHeaders).toContain(`Bearer ${gateway.apiServer.token}`)
  })

  it('hands on what the API server sent right behind its head', async () => {
    answer(`${SWITCHED_SPDY}early bytes`)
    const client = await ask(`${POD}/exec?command=sh`, SPDY)
    let text = ''
    client.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    await expect.poll(() => text).toMatch(/\r\n\r\nearly bytes$/)
  })

  it('ends on one side when it ends on the other', async () => {
    const client = await ask(`${POD}/exec?command=sh`, SPDY)
    await firstBytes(client)
    client.destroy()
    await expect.poll(() => upstreams[0]?.destroyed).toBe(true)
    const second = await ask(`${POD}/exec?command=sh`, SPDY)
    await firstBytes(second)
    const closed = once(second, 'close')
    upstreams[1]?.destroy()
    await closed
  })

  it('is one session in the events, from 101 to the end', async () => {
    const client = await ask(`${POD}/exec?command=sh`, SPDY)
    const auditId = /Audit-Id: (\S+)/i.exec(await firstBytes(client))?.[1]
    client.destroy()
    const events = async () => (await gateway.events()).filter(({ auditID }) => auditID === auditId)
    await expect
      .poll(async () => (await events()).map(({ stage }) => stage))
      .toEqual(['ResponseStarted', 'ResponseComplete'])
    const sessions = (await events()).map(({ annotations }) => annotations['postern.dev/session'])
    expect(sessions[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(new Set(sessions).size).toBe(1)
  })

  it.each([
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['a stream protocol that was not offered', SWITCHED_SPDY.replace('v4', 'v9')],
    ['nothing in particular', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ])('that the API server answers with %s is a 502, and nothing is joined', async (_, bytes) => {
    answer(bytes)
    const client = await ask(`${POD}/exec?command=sh`, SPDY)
    expect(await everything(client)).toMatch(/^HTTP\/1\.1 502 .*"reason":"BadGateway"/s)
    await expect.poll(() => upstreams[0]?.destroyed).toBe(true)
  })

  it('that the API server refuses carries its answer, and no later byte upstream (CVE-2018-1002105)', async () => {
    const got: string[] = []
    gateway.apiServer.onUpgrade = (_request, socket) => {
      upstreams.push(socket)
      socket.on('data', (chunk: Buffer) => got.push(chunk.toString('latin1')))
      socket.write(
        'HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"kind":"Status"}',
      )
    }
    const client = await ask(`${POD}/exec?command=sh`, SPDY)
    const text = await firstBytes(client)
    client.write(`GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n`)
    expect(text + (await everything(client))).toMatch(/^HTTP\/1\.1 403 .*\{"kind":"Status"\}$/s)
    expect(got).toEqual([])
    expect(gateway.apiServer.seen).toHaveLength(1)
  })

  it('that the API server redirects is a 502, and the redirect is not told', async () => {
    answer('HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n')
    const client = await ask(`${POD}/exec?command=sh`, SPDY)
    const text = await everything(client)
    expect(text).toMatch(/^HTTP\/1\.1 502 /)
    expect(text).not.toContain('evil.example')
  })

  it.each([
    ['h2c', `${POD}/exec?command=sh`, ['Upgrade: h2c'], 'GET'],
    ['two protocols', `${POD}/exec?command=sh`, ['Upgrade: websocket, SPDY/3.1'], 'GET'],
    ['SPDY on a path that does not stream', POD, SPDY, 'GET'],
    ['a websocket by POST', `${POD}/exec?command=sh`, WEBSOCKET, 'POST'],
    ['a body', `${POD}/exec?command=sh`, [...SPDY, 'Content-Length: 5'], 'POST'],
  ])('is refused with 400 for %s, and the API server sees nothing', async (_, path, lines, method) => {
    const client = await ask(path, lines, method)
    expect(await firstBytes(client)).toMatch(/^HTTP\/1\.1 400 /)
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('is refused with 400 when bytes follow it before it was answered', async () => {
    const client = await ask(`${POD}/exec?command=sh`, SPDY, 'POST', 'GET /api/v1/secrets HTTP/1.1\r\n\r\n')
    expect(await everything(client)).toMatch(/^HTTP\/1\.1 400 /)
    expect(gateway.apiServer.seen).toEqual([])
  })

  it.each([
    ['GET', WEBSOCKET],
    ['POST', SPDY],
  ])('by %s into another namespace is denied as the same action', async (method, lines) => {
    const path = '/sockets/production/api/v1/namespaces/payments/pods/ledger/exec?command=sh'
    const client = await ask(path, lines, method)
    const text = await everything(client)
    expect(text).toMatch(/^HTTP\/1\.1 403 /)
    expect(text).toContain('cannot create resource \\"pods/exec\\"')
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('without a credential is answered 401', async () => {
    const client = await gateway.raw()
    clients.push(client)
    client.write(`GET ${POD}/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${WEBSOCKET.join('\r\n')}\r\n\r\n`)
    expect(await everything(client)).toMatch(/^HTTP\/1\.1 401 .*postern client login/s)
    expect(gateway.apiServer.seen).toEqual([])
  })
})

describe('a session with an obligation', () => {
  const policy = (session: string): string => `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: developers }
spec:
  subjects: { groups: [payments-dev] }
  rules: [{ verbs: [create], resources: [pods/exec], session: { ${session} } }]
`

  it('ends when its longest duration is over', async () => {
    const everyday = gateway
    gateway = await startStagedGateway({ policy: policy('maxDuration: 1s') })
    try {
      answer(SWITCHED_SPDY)
      const client = await ask(`${POD}/exec?command=sh`, SPDY)
      expect(await firstBytes(client)).toMatch(/^HTTP\/1\.1 101 /)
      await once(client.resume(), 'close')
      await expect.poll(() => upstreams[0]?.destroyed).toBe(true)
    } finally {
      await gateway.stop()
      gateway = everyday
    }
  })
})
