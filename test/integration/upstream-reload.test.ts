import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { stringify } from 'yaml'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import type { Endpoint } from '../../src/upstream/endpoint.ts'
import { loadInCluster } from '../../src/upstream/in-cluster.ts'
import { loadKubeconfig } from '../../src/upstream/kubeconfig.ts'
import { ReloadedUpstream } from '../../src/upstream/reloaded-upstream.ts'
import type { FilesRead } from '../../src/upstream/small-file.ts'
import { loadStaticServer } from '../../src/upstream/static-server.ts'
import { type StagedApiServer, startStagedApiServer } from '../support/staged-api-server.ts'
import { startStagedGateway } from '../support/staged-gateway.ts'
import { answerOf, failureOf } from '../support/upstream-requests.ts'

let directory: string
let apiServer: StagedApiServer
let events: string[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-reload-'))
  apiServer = await startStagedApiServer()
  events = []
})
afterEach(async () => {
  await apiServer.close()
  await rm(directory, { recursive: true })
})

async function open(load: (files: FilesRead) => Promise<Endpoint>): Promise<ReloadedUpstream> {
  const upstream = await ReloadedUpstream.open({
    load,
    onReloaded: () => events.push('reloaded'),
    onRefused: (problem) => events.push(`refused: ${problem}`),
    onMended: () => events.push('mended'),
  })
  onTestFinished(() => {
    upstream.close()
  })
  return upstream
}

async function write(name: string, text: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
  return path
}

function tokensSeen({ seen }: StagedApiServer): (string | undefined)[] {
  return seen.map(({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('Authorization') + 1])
}

describe('a pod’s service account', () => {
  /** As the kubelet writes a projected volume: a directory of its own, and one link that is swapped. */
  async function project(version: string, contents: Readonly<Record<string, string>>): Promise<void> {
    await mkdir(join(directory, `..${version}`))
    for (const [name, text] of Object.entries(contents)) await writeFile(join(directory, `..${version}`, name), text)
    await symlink(`..${version}`, join(directory, '..data_tmp'))
    await rename(join(directory, '..data_tmp'), join(directory, '..data'))
  }

  async function openInCluster(): Promise<ReloadedUpstream> {
    for (const name of ['ca.crt', 'token']) await symlink(`..data/${name}`, join(directory, name))
    const { port } = apiServer.server.address() as AddressInfo
    const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port) }
    return open((files) => loadInCluster(environment, directory, files))
  }

  it('gets a new authority for new connections, while requests under way go on', async () => {
    await project('1', { 'ca.crt': apiServer.certificateAuthority, token: 'one' })
    const upstream = await openInCluster()
    const pending: ServerResponse[] = []
    apiServer.onRequest = (_request, response) => pending.push(response.writeHead(200))
    const underWay = answerOf(upstream)
    await expect.poll(() => pending.length).toBe(1)
    const next = createCertificateAuthority('the next authority')
    await project('2', { 'ca.crt': apiServer.certificateAuthority + next.certificate, token: 'one' })
    await expect.poll(() => events).toEqual(['reloaded'])
    apiServer.server.setSecureContext(next.issueServer())
    apiServer.onRequest = (_request, response) => response.end('by the next')
    expect((await answerOf(upstream)).body.toString()).toBe('by the next')
    pending[0]?.end('whole')
    expect((await underWay).body.toString()).toBe('whole')
    await project('3', { 'ca.crt': next.certificate, token: 'one' })
    await expect.poll(() => events).toEqual(['reloaded', 'reloaded'])
    expect((await answerOf(upstream)).statusCode).toBe(200)
    await expect.poll(() => upstream.openConnections).toBe(1)
    expect(upstream.problem).toBe('')
  })

  it('has its connections left alone when only its token changes', async () => {
    await project('1', { 'ca.crt': apiServer.certificateAuthority, token: 'one' })
    const upstream = await openInCluster()
    await answerOf(upstream)
    await project('2', { 'ca.crt': apiServer.certificateAuthority, token: 'two' })
    // The API server takes the old token no more, which is when it is looked at again at once.
    apiServer.onRequest = ({ headers }, response) => {
      response.writeHead(headers.authorization === 'Bearer two' ? 200 : 401).end()
    }
    await expect.poll(async () => (await answerOf(upstream)).statusCode).toBe(200)
    expect(events).toEqual([])
    expect(upstream.openConnections).toBe(1)
  })
})

describe('a kubeconfig', () => {
  const text = ({ url, certificateAuthority }: StagedApiServer, token: string): string =>
    stringify({
      'current-context': 'a',
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
      clusters: [
        {
          name: 'a',
          cluster: { server: url, 'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64') },
        },
      ],
      users: [{ name: 'a', user: { token } }],
    })

  it('that names another server leads new requests there, and keeps watches where they are', async () => {
    const other = await startStagedApiServer()
    onTestFinished(() => other.close())
    const path = await write('config', text(apiServer, 'one'))
    const upstream = await open((files) => loadKubeconfig({ path }, files))
    const watches: ServerResponse[] = []
    apiServer.onRequest = (_request, response) => watches.push(response.writeHead(200))
    const watch = answerOf(upstream, { responseHeadTimeoutMs: Infinity })
    await expect.poll(() => watches.length).toBe(1)
    await write('config', text(other, 'two'))
    await expect.poll(() => events).toEqual(['reloaded'])
    await answerOf(upstream)
    expect(tokensSeen(other)).toEqual(['Bearer two'])
    expect(apiServer.seen).toHaveLength(1)
    watches[0]?.end('still')
    expect((await watch).body.toString()).toBe('still')
  })

  it('that cannot be used keeps the old one, and says so in one line', async () => {
    const path = await write('config', text(apiServer, 'one'))
    const upstream = await open((files) => loadKubeconfig({ path }, files))
    await write('config', 'users: [{ name: a, user: { token: hush } }]\ncurrent-context: b\n')
    await expect.poll(() => upstream.problem).toMatch(/^kubeconfig \S+: there is no context "b"; there is none at all$/)
    expect((await answerOf(upstream)).statusCode).toBe(200)
    expect(tokensSeen(apiServer)).toEqual(['Bearer one'])
    await write('config', text(apiServer, 'one'))
    await expect.poll(() => events.at(-1)).toBe('mended')
    expect(events).toHaveLength(2)
    expect(upstream.problem).toBe('')
  })

  it('ends with its upstream', async () => {
    const path = await write('config', text(apiServer, 'one'))
    const upstream = await open((files) => loadKubeconfig({ path }, files))
    upstream.close()
    expect((await failureOf(answerOf(upstream))).status.code).toBe(503)
  })
})

it('a client certificate is presented anew once both its files have changed', async () => {
  const authority = createCertificateAuthority('clients')
  const [first, second] = ['first', 'second'].map((commonName) => authority.issueClient({ commonName }))
  Object.assign(apiServer.server, { requestCert: true })
  const servers = createCertificateAuthority('servers')
  apiServer.server.setSecureContext({ ...servers.issueServer(), ca: authority.certificate })
  const names: unknown[] = []
  apiServer.onRequest = (request, response) => {
    if (request.socket instanceof TLSSocket) names.push(request.socket.getPeerCertificate().subject.CN)
    response.end()
  }
  const files = {
    certificate: await write('client.crt', first?.cert ?? ''),
    key: await write('client.key', first?.key ?? ''),
  }
  const upstream = await open((read) =>
    loadStaticServer(
      {
        server: { value: apiServer.url },
        certificateAuthority: { value: servers.certificate },
        clientCertificate: { certificate: { file: files.certificate }, key: { file: files.key } },
      },
      read,
    ),
  )
  await answerOf(upstream)
  await write('client.crt', second?.cert ?? '')
  await write('client.key', second?.key ?? '')
  await expect.poll(() => events).toEqual(['reloaded'])
  await answerOf(upstream)
  expect(names).toEqual(['first', 'second'])
})

it('an address, an authority and a verified name that stand in files are read again when those change', async () => {
  const servers = createCertificateAuthority('servers')
  const other = await startStagedApiServer()
  onTestFinished(() => other.close())
  other.server.setSecureContext(servers.issueServer({ hosts: ['kubernetes'] }))
  const [address, authority, name] = [
    await write('address', `${apiServer.url}\n`),
    await write('authority', apiServer.certificateAuthority),
    await write('name', 'localhost'),
  ]
  const upstream = await open((read) =>
    loadStaticServer(
      {
        server: { file: address },
        tlsServerName: { file: name },
        certificateAuthority: { file: authority },
        token: { value: 'a' },
      },
      read,
    ),
  )
  await answerOf(upstream)
  expect(apiServer.seen).toHaveLength(1)
  await write('authority', apiServer.certificateAuthority + servers.certificate)
  await expect.poll(() => events).toEqual(['reloaded'])
  await write('name', 'kubernetes')
  await expect.poll(() => events).toHaveLength(2)
  await write('address', other.url)
  await expect.poll(() => events).toHaveLength(3)
  await answerOf(upstream)
  expect(other.seen).toHaveLength(1)
  await write('address', 'http://127.0.0.1')
  await expect.poll(() => upstream.problem).toMatch(/^server \S+address: the server is not an https:\/\/ URL/)
  expect((await answerOf(upstream)).statusCode).toBe(200)
})

describe('a client certificate that has expired', () => {
  const clients = createCertificateAuthority('clients')
  const servers = createCertificateAuthority('servers')
  const expired = clients.issueClient({ commonName: 'late', expired: true })
  const current = clients.issueClient({ commonName: 'current' })
  const EXPIRED = /^the client certificate \S+client\.crt expired on \d{4}-/

  /** As kube-apiserver does: asks for a certificate, and answers 401 to one that does not hold. */
  async function openWith({ cert, key }: { readonly cert: string; readonly key: string }): Promise<ReloadedUpstream> {
    Object.assign(apiServer.server, { requestCert: true, rejectUnauthorized: false })
    apiServer.server.setSecureContext({ ...servers.issueServer(), ca: clients.certificate })
    answerAll(({ socket }) => (socket instanceof TLSSocket && socket.authorized ? 200 : 401))
    const files = [{ file: await write('client.crt', cert) }, { file: await write('client.key', key) }] as const
    return open((read) =>
      loadStaticServer(
        {
          server: { value: apiServer.url },
          certificateAuthority: { value: servers.certificate },
          clientCertificate: { certificate: files[0], key: files[1] },
        },
        read,
      ),
    )
  }
  /** Also what the staged API server answers by itself. */
  function answerAll(codeFor: (request: IncomingMessage) => number): void {
    const { server } = apiServer
    server.removeAllListeners('request')
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(codeFor(request)).end()
    })
  }
  const probed = (upstream: ReloadedUpstream): Promise<void> => upstream.probe(new AbortController().signal)

  it('makes its upstream not ready, with its reason, until there is another', async () => {
    const upstream = await openWith(expired)
    expect(upstream.problem).toMatch(EXPIRED)
    const { message, detail } = await failureOf(probed(upstream))
    expect(message).toContain('does not accept the credential of the connector')
    expect(detail).toMatch(EXPIRED)
    await write('client.key', current.key)
    await write('client.crt', current.cert)
    await expect.poll(() => events).toContain('reloaded')
    await probed(upstream)
    expect(upstream.problem).toBe('')
  })

  it('does not take the place of one that has not', async () => {
    const upstream = await openWith(current)
    await write('client.key', expired.key)
    await write('client.crt', expired.cert)
    await expect.poll(() => upstream.problem).toMatch(EXPIRED)
    await probed(upstream)
    expect(events).toEqual([expect.stringMatching(/^refused: the client certificate .* expired on/)])
    await write('client.key', current.key)
    await write('client.crt', current.cert)
    await expect.poll(() => events.at(-1)).toBe('mended')
  })

  it('keeps no other socket from its work', async () => {
    const gateway = await startStagedGateway({
      prepare: async (at) => {
        await writeFile(join(at, 'late.crt'), expired.cert)
        await writeFile(join(at, 'late.key'), expired.key)
      },
      adjust: (document) => ({
        ...document,
        sockets: [
          ...document.sockets,
          {
            name: 'late',
            upstream: {
              server: {
                url: apiServer.url,
                certificateAuthority: apiServer.certificateAuthority,
                credential: { clientCertificate: { certificate: 'late.crt', key: 'late.key' } },
              },
            },
          },
        ],
      }),
    })
    onTestFinished(() => gateway.stop())
    answerAll(() => 401)
    const { statusCode } = await gateway.fetch('/sockets/production/api/v1/namespaces/default/pods')
    expect(statusCode).toBe(200)
    const readiness = async (): Promise<string> => {
      return await (await fetch(`http://127.0.0.1:${gateway.opsPort}/readyz?verbose`)).text()
    }
    await expect.poll(readiness).toMatch(/^\[-\]socket\/late .*not accept the credential.*late\.crt expired on \d{4}-/m)
    expect(await readiness()).toMatch(/^\[\+\]socket\/production ok$/m)
  })
})
