import { rename, writeFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { connect as connectHttp2, constants } from 'node:http2'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TLSSocket, connect as connectTls } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type CertificateAndKey, createCertificateAuthority } from '../../sandbox/certificates.ts'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

// Attack E29.
//
// A client certificate counts when the TLS connection itself showed it: its chain, its purpose and its time are looked at,
// and no header speaks for one.

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: robots }
spec:
  subjects: { groups: ["x509:robots"] }
  rules: [{ verbs: [get, list], resources: [pods] }]
`
const PODS = '/sockets/production/api/v1/namespaces/default/pods'

const authority = createCertificateAuthority('robots')
const robot = authority.issueClient({ commonName: 'deployer', organizations: ['robots', 'ci'] })
let gateway: StagedGateway
const agents: Agent[] = []

beforeAll(async () => {
  gateway = await startStagedGateway({
    policy: POLICY,
    adjust: (document) => ({
      ...document,
      identity: {
        ...document.identity,
        clientCertificates: { certificateAuthority: authority.certificate, prefix: 'x509:' },
      },
    }),
  })
})
afterAll(() => gateway.stop())
afterEach(() => {
  for (const agent of agents.splice(0)) agent.destroy()
  gateway.apiServer.seen.length = 0
})

function agentWith(pair: CertificateAndKey): Agent {
  const agent = new Agent({ ...pair, ca: gateway.certificateAuthority, ALPNProtocols: ['http/1.1'] })
  agents.push(agent)
  return agent
}
const list = (pair: CertificateAndKey, headers: Record<string, string> = {}) =>
  gateway.fetch(PODS, { agent: agentWith(pair), anonymous: true, headers })

test('the common name is the username and organizations are groups, under a prefix of their own', async () => {
  expect((await list(robot)).statusCode).toBe(200)
  const review = await gateway.fetch('/sockets/production/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    method: 'POST',
    agent: agentWith(robot),
    anonymous: true,
    headers: { 'content-type': 'application/json' },
    body: '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
  })
  expect(JSON.parse(review.body)).toMatchObject({
    status: {
      userInfo: { username: 'x509:deployer', groups: expect.arrayContaining(['x509:robots', 'x509:ci']) as unknown },
    },
  })
})

test('it counts on HTTP/2, and by the host name of the listener, as well', async () => {
  const session = connectHttp2(`https://localhost:${gateway.port}`, { ...robot, ca: gateway.certificateAuthority })
  const stream = session.request({ ':path': PODS })
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
  expect(headers[constants.HTTP2_HEADER_STATUS]).toBe(200)
  stream.resume()
  session.close()
  await once(session, 'close')
})

test('it counts on a TLS session that is resumed', async () => {
  const options = { host: '127.0.0.1', port: gateway.port, ...robot, ca: gateway.certificateAuthority }
  const reused: boolean[] = []
  const ask = async (socket: TLSSocket): Promise<string> => {
    await once(socket, 'secureConnect')
    reused.push(socket.isSessionReused())
    socket.write(`GET ${PODS} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
    return text(socket)
  }
  const first = connectTls(options)
  let session: Buffer | undefined
  first.on('session', (ticket) => {
    session = ticket
  })
  expect(await ask(first)).toMatch(/^HTTP\/1.1 200 /)
  const second = connectTls({ ...options, session })
  expect(await ask(second)).toMatch(/^HTTP\/1.1 200 /)
  expect(reused).toEqual([false, true])
})

test.for<[string, () => CertificateAndKey, string]>([
  [
    'of another authority with the same name',
    () => createCertificateAuthority('robots').issueClient({ commonName: 'deployer', organizations: ['robots'] }),
    'is not one that is trusted here',
  ],
  [
    'that expired',
    () => authority.issueClient({ commonName: 'deployer', organizations: ['robots'], expired: true }),
    'is not one that is trusted here',
  ],
  ['of a server', () => authority.issueServer({ hosts: ['deployer'] }), 'is not one that is trusted here'],
])('a certificate %s is refused, in words', async ([, issue, sentence]) => {
  const answer = await list(issue())
  expect(answer.statusCode).toBe(401)
  expect(JSON.parse(answer.body)).toMatchObject({
    kind: 'Status',
    reason: 'Unauthorized',
    message: expect.stringContaining(sentence) as unknown,
  })
  expect(gateway.apiServer.seen).toEqual([])
})

test('a certificate that does not hold is not made up for by a token', async () => {
  const stranger = createCertificateAuthority('robots').issueClient({ commonName: 'deployer' })
  for (const pair of [robot, stranger]) {
    const answer = await list(pair, { authorization: `Bearer ${gateway.token}` })
    expect(answer.statusCode).toBe(401)
    expect(answer.body).toContain('a token and a client certificate')
  }
  expect(gateway.apiServer.seen).toEqual([])
})

test('a header speaks for no certificate', async () => {
  const line = robot.cert.replaceAll('\n', '')
  const names = ['X-Client-Cert', 'X-Forwarded-Client-Cert', 'X-SSL-Client-Cert', 'Ssl-Client-Verify', 'X-Remote-User']
  for (const name of names) {
    const answer = await gateway.fetch(PODS, {
      anonymous: true,
      headers: { [name]: name === 'X-Remote-User' ? 'x509:deployer' : line },
    })
    expect(answer.statusCode).toBe(401)
    expect(answer.body).toContain('the request has no credential')
  }
  expect(gateway.apiServer.seen).toEqual([])
})

test('somebody without a certificate still comes in with a token', async () => {
  const answer = await gateway.fetch(PODS)
  expect(answer.statusCode).toBe(403)
  expect(answer.body).toContain('ana@example.com')
})

test('a new authority takes the place of the old one without a restart, and one that is none does not', async () => {
  const next = createCertificateAuthority('robots')
  const successor = next.issueClient({ commonName: 'successor', organizations: ['robots'] })
  const file = (directory: string): string => join(directory, 'robots.crt')
  const replacing = await startStagedGateway({
    policy: POLICY,
    prepare: (directory) => writeFile(file(directory), authority.certificate),
    adjust: (document) => ({
      ...document,
      identity: {
        ...document.identity,
        clientCertificates: { certificateAuthority: 'robots.crt', prefix: 'x509:' },
      },
    }),
  })
  const listAs = async (pair: CertificateAndKey, session?: Buffer): Promise<[number, Buffer | undefined]> => {
    const agent = new Agent({ ...pair, ca: replacing.certificateAuthority, ALPNProtocols: ['http/1.1'], session })
    let resumed: Buffer | undefined
    agent.on('keylog', (_line, socket: TLSSocket) => {
      socket.on('session', (one) => (resumed = one))
    })
    const { statusCode } = await replacing.fetch(PODS, { agent, anonymous: true })
    agent.destroy()
    return [statusCode, resumed]
  }
  const put = async (pem: string): Promise<void> => {
    await writeFile(`${file(replacing.directory)}.new`, pem)
    await rename(`${file(replacing.directory)}.new`, file(replacing.directory))
  }
  try {
    const [code, session] = await listAs(robot)
    expect([code, (await listAs(successor))[0]]).toEqual([200, 401])
    await put('no certificate')
    const refused = () => replacing.log.some((line) => line.includes('certificate.refused') && line.includes('clients'))
    await expect.poll(refused).toBe(true)
    expect((await listAs(robot))[0]).toBe(200)
    await put(next.certificate)
    await expect.poll(async () => (await listAs(successor))[0]).toBe(200)
    expect((await listAs(robot))[0]).toBe(401)
    // Nor by what is left of a connection of before.
    expect(session).toBeInstanceOf(Buffer)
    expect((await listAs(robot, session))[0]).toBe(401)
    // Whoever has no certificate still brings a token.
    expect((await replacing.fetch(PODS)).statusCode).toBe(403)
  } finally {
    await replacing.stop()
  }
})
