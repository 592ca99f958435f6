import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { loadKubeconfig } from '../../src/upstream/kubeconfig.ts'
import { UpstreamClient } from '../../src/upstream/upstream-client.ts'
import { startScriptedServer } from '../support/scripted-server.ts'
import { answerOf, failureOf } from '../support/upstream-requests.ts'

// Attack I3.
//
// Somebody between the connector and the API server gets its credential when the certificate is not verified, or when
// there is a switch for that (CVE-2025-67601).

const authority = createCertificateAuthority('the one that is trusted')
const other = createCertificateAuthority('another')

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-tls-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

async function kubeconfig(cluster: string): Promise<string> {
  const path = join(directory, 'kubeconfig')
  await writeFile(
    path,
    `apiVersion: v1
kind: Config
current-context: a
contexts: [{ name: a, context: { cluster: a, user: a } }]
clusters: [{ name: a, cluster: { ${cluster} } }]
users: [{ name: a, user: { token: the-credential } }]
`,
  )
  return path
}

const trusting = (pem: string): string => `certificate-authority-data: ${Buffer.from(pem).toString('base64')}`

test.each([
  ['of another authority', () => other.issueServer()],
  ['for another name', () => authority.issueServer({ hosts: ['example.com'] })],
  ['that has expired', () => authority.issueServer({ expired: true })],
  ['that is for clients', () => authority.issueClient({ commonName: '127.0.0.1' })],
])('a server with a certificate %s gets nothing', async (_, certificate) => {
  const got: Buffer[] = []
  const server = await startScriptedServer(certificate(), (socket) => {
    socket.on('data', (chunk: Buffer) => got.push(chunk))
  })
  const path = await kubeconfig(`server: "${server.url}", ${trusting(authority.certificate)}`)
  const upstream = new UpstreamClient(await loadKubeconfig({ path }))
  const failure = await failureOf(answerOf(upstream))
  expect(failure.status.code).toBeGreaterThanOrEqual(502)
  expect(failure.message).not.toContain('the-credential')
  expect(Buffer.concat(got).length).toBe(0)
  upstream.close()
})

test.each([
  ['insecure-skip-tls-verify: true', 'insecure-skip-tls-verify, which is refused'],
  ['server: "http://127.0.0.1:8080"', 'not an https:// URL'],
  ['proxy-url: "http://127.0.0.1:3128"', 'proxy-url, which is refused'],
])('a kubeconfig with %s is refused', async (line, reason) => {
  const server = line.startsWith('server') ? '' : 'server: "https://127.0.0.1:6443", '
  const path = await kubeconfig(`${server}${line}, ${trusting(authority.certificate)}`)
  await expect(loadKubeconfig({ path })).rejects.toThrow(reason)
})

test('no environment variable switches it off', async () => {
  // What Node itself obeys; it is put back below.
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  try {
    const server = await startScriptedServer(other.issueServer(), (socket) => socket.resume())
    const path = await kubeconfig(`server: "${server.url}", ${trusting(authority.certificate)}`)
    const upstream = new UpstreamClient(await loadKubeconfig({ path }))
    expect((await failureOf(answerOf(upstream))).status.code).toBeGreaterThanOrEqual(502)
    upstream.close()
  } finally {
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
  }
})
