/**
 * What a request to an API server costs the connector: our upstream client beside undici's `dispatch` and
 * node:https with a keep-alive agent, all over TLS 1.3 with verification, the same request and the same answer; and
 * beside the floor, a TLS socket of Node's on which ready bytes are written and the answer's bytes are counted.
 *
 * The clients take turns of half a second each, in random order, in one process; the server is another process.
 * What counts is CPU time a request, as a ratio to ours in the same cycle; requests a second depend on what else
 * the machine does.
 *
 *     node bench/upstream-client.ts [CYCLES]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpsRequest } from 'node:https'
import { connect, createServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { Pool } from 'undici'
import { loadStaticServer } from '../src/upstream/static-server.ts'
import { UpstreamClient } from '../src/upstream/upstream-client.ts'
import { createCertificateAuthority } from '../sandbox/certificates.ts'

const CONCURRENCY = 64
const SLICE_MS = 500
const CONNECTIONS = 64
const TOKEN = `ey${'t'.repeat(1100)}`
const TARGET = '/api/v1/namespaces/default/pods/web-0'
const HEADERS = [
  ...['Accept', 'application/json', 'Accept-Encoding', 'gzip', 'Kubectl-Command', 'kubectl get'],
  ...['User-Agent', 'kubectl/v1.36.0 (linux/amd64) kubernetes/0000000', 'Kubectl-Session', crypto.randomUUID()],
  ...['Audit-Id', crypto.randomUUID()],
]
const BODY = JSON.stringify({ kind: 'Pod', apiVersion: 'v1', metadata: { name: 'web-0' }, spec: 'x'.repeat(940) })
const ANSWER = [
  'HTTP/1.1 200 OK',
  `Audit-Id: ${crypto.randomUUID()}`,
  'Cache-Control: no-cache, private',
  'Content-Type: application/json',
  `X-Kubernetes-Pf-Flowschema-Uid: ${crypto.randomUUID()}`,
  `X-Kubernetes-Pf-Prioritylevel-Uid: ${crypto.randomUUID()}`,
  'Date: Tue, 01 Dec 2026 00:00:00 GMT',
  `Content-Length: ${Buffer.byteLength(BODY)}`,
  '',
  BODY,
].join('\r\n')

/** Sends one request and calls back when the answer is whole. */
type Client = (done: (bytes: number) => void) => void

interface Sample {
  readonly name: string
  readonly microsecondsPerRequest: number
  readonly requestsPerSecond: number
}

async function serve(key: string, cert: string): Promise<void> {
  const answer = Buffer.from(ANSWER)
  const server = createServer({ key, cert, ALPNProtocols: ['http/1.1'], noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      // Requests come whole, without a body and one at a time.
      if (chunk.includes('\r\n\r\n')) socket.write(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send?.(server.address())
  process.once('disconnect', () => process.exit())
}

function requestText(headers: readonly string[]): string {
  const lines = headers.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`))
  return `GET ${TARGET} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join('')}\r\n`
}

/** Nothing is parsed: the answer is whole when all its bytes are there. */
function bareSockets(port: number, ca: string, text: string): Client {
  const memory = Buffer.alloc(16 * 1024)
  const idle: ((done: (bytes: number) => void) => void)[] = []
  const open = (first: (bytes: number) => void): void => {
    let done = first
    let received = 0
    const onread = {
      buffer: () => memory,
      callback(bytes: number) {
        received += bytes
        if (received < ANSWER.length) return true
        received = 0
        idle.push((next) => {
          done = next
          socket.write(text, 'latin1')
        })
        done(BODY.length)
        return true
      },
    }
    const options = { host: '127.0.0.1', port, ca, noDelay: true, onread }
    const socket = connect(options, () => socket.write(text, 'latin1'))
    socket.on('error', () => undefined)
  }
  return (done) => {
    const again = idle.pop()
    if (again === undefined) open(done)
    else again(done)
  }
}

async function measure(name: string, client: Client): Promise<Sample> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const beganAt = performance.now()
  const cpu = process.cpuUsage()
  let running = CONCURRENCY
  let requests = 0
  const next = (): void => {
    client((bytes) => {
      if (bytes !== BODY.length) throw new Error(`${name} got ${bytes} bytes`)
      requests++
      if (performance.now() - beganAt < SLICE_MS) next()
      else if (--running === 0) resolve(undefined)
    })
  }
  for (let i = 0; i < CONCURRENCY; i++) next()
  await promise
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - beganAt) / 1000
  return { name, microsecondsPerRequest: (user + system) / requests, requestsPerSecond: requests / seconds }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(q * (sorted.length - 1))] ?? NaN
}

function unexpected(error: Error): never {
  throw error
}

async function compare(cycles: number): Promise<void> {
  const authority = createCertificateAuthority()
  const { key, cert } = authority.issueServer()
  const child = fork(fileURLToPath(import.meta.url), ['serve'])
  child.send({ key, cert })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]

  const server = `https://127.0.0.1:${port}`
  const endpoint = await loadStaticServer({
    server: { value: server },
    certificateAuthority: { value: authority.certificate },
    token: { value: TOKEN },
  })
  const upstream = new UpstreamClient(endpoint)
  const pool = new Pool(server, { connections: CONNECTIONS, connect: { ca: authority.certificate } })
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, ca: authority.certificate })
  const headers = [...HEADERS, 'Authorization', `Bearer ${TOKEN}`]

  const clients: Record<string, Client> = {
    ours(done) {
      let bytes = 0
      const sink = {
        head: () => undefined,
        data(chunk: Buffer) {
          bytes += chunk.length
          return true
        },
        end() {
          done(bytes)
        },
        error: unexpected,
      }
      upstream.send({ method: 'GET', target: TARGET, headers: HEADERS, bodyLength: 0 }, sink, () => undefined)
    },
    'bare TLS socket': bareSockets(port, authority.certificate, requestText(headers)),
    'undici dispatch'(done) {
      let bytes = 0
      const handler = {
        onRequestStart: () => undefined,
        onResponseStart: () => undefined,
        onResponseData(_controller: unknown, chunk: Buffer) {
          bytes += chunk.length
        },
        onResponseEnd() {
          done(bytes)
        },
        onResponseError: (_controller: unknown, error: Error) => unexpected(error),
      }
      pool.dispatch({ method: 'GET', path: TARGET, headers }, handler)
    },
    'node:https'(done) {
      const options = { host: '127.0.0.1', port, path: TARGET, agent, headers }
      httpsRequest(options, (response) => {
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        response.on('end', () => {
          done(bytes)
        })
      }).end()
    },
  }

  const ratios = new Map<string, number[]>(Object.keys(clients).map((name) => [name, []]))
  const samples: Sample[] = []
  for (let cycle = -3; cycle < cycles; cycle++) {
    const round: Sample[] = []
    const order = Object.entries(clients).toSorted(() => Math.random() - 0.5)
    for (const [name, client] of order) round.push(await measure(name, client))
    const own = round.find(({ name }) => name === 'ours')?.microsecondsPerRequest ?? NaN
    // The first three warm up.
    if (cycle < 0) continue
    samples.push(...round)
    for (const { name, microsecondsPerRequest } of round) ratios.get(name)?.push(microsecondsPerRequest / own)
  }
  console.log('client            CPU/request   x ours (quartiles)     requests/s')
  for (const [name, values] of ratios) {
    const mine = samples.filter((sample) => sample.name === name)
    const cost = quantile(
      mine.map((sample) => sample.microsecondsPerRequest),
      0.5,
    )
    const rate = quantile(
      mine.map((sample) => sample.requestsPerSecond),
      0.5,
    )
    const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(values, q).toFixed(2))
    console.log(
      `${name.padEnd(16)} ${cost.toFixed(1).padStart(9)} µs   ${middle} (${low}-${high})`.padEnd(53),
      rate.toFixed(0),
    )
  }
  console.log(`${upstream.openConnections} connections of ours, ${CONCURRENCY} requests at a time`)
  upstream.close()
  agent.destroy()
  await pool.destroy()
  child.disconnect()
}

if (process.argv[2] === 'serve') {
  const [{ key, cert }] = (await once(process, 'message')) as [{ key: string; cert: string }]
  await serve(key, cert)
} else {
  await compare(Number(process.argv[2] ?? 12))
}
