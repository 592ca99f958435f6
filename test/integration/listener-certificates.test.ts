import { once } from 'node:events'
import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import type { ConnectorInput } from '../../src/config/connector-schema.ts'
import { type StagedGateway, type StagedGatewayOptions, startStagedGateway } from '../support/staged-gateway.ts'

// Attack I6.

const PODS = '/sockets/production/api/v1/namespaces/default/pods'
const authority = createCertificateAuthority('listener certificates')

async function stage(options: StagedGatewayOptions = {}): Promise<StagedGateway> {
  const gateway = await startStagedGateway(options)
  onTestFinished(() => gateway.stop())
  return gateway
}

/** What a client that asks for `name` is shown, whoever vouches for it. */
async function shown(port: number, name?: string): Promise<{ serial: string; hosts: string }> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    ...(name !== undefined && { servername: name }),
    // Nothing is sent: what is asked is only which certificate is shown, names that it does not cover included.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  await once(socket, 'secureConnect')
  const certificate = new X509Certificate(socket.getPeerCertificate().raw)
  socket.destroy()
  return { serial: certificate.serialNumber, hosts: certificate.subjectAltName ?? '' }
}

function serialOf(pem: string): string {
  return new X509Certificate(pem).serialNumber
}

async function replace(directory: string, name: string, text: string): Promise<void> {
  await writeFile(join(directory, `${name}.new`), text)
  await rename(join(directory, `${name}.new`), join(directory, name))
}

async function ops(gateway: StagedGateway, path: string): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${gateway.opsPort}${path}`)).text()
}

describe('a certificate that changes', () => {
  it('is shown to new clients of both listeners, while open connections go on', async () => {
    const gateway = await stage()
    gateway.apiServer.onRequest = (request, response) => {
      response.writeHead(200).flushHeaders()
      if (request.url?.includes('watch') !== true) response.end('{}')
    }
    const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca: gateway.certificateAuthority })
    onTestFinished(() => {
      session.destroy()
    })
    const watch = await gateway.open(`${PODS}?watch=1`)
    let ended = false
    watch.resume().once('close', () => (ended = true))
    const next = authority.issueServer({ hosts: ['127.0.0.1'] })
    const before = await shown(gateway.port)
    await replace(gateway.directory, 'tls.key', next.key)
    await replace(gateway.directory, 'tls.crt', next.cert + authority.certificate)
    await expect.poll(async () => (await shown(gateway.port)).serial).toBe(serialOf(next.cert))
    await expect.poll(async () => (await shown(gateway.portalPort)).serial).toBe(serialOf(next.cert))
    expect(before.serial).not.toBe(serialOf(next.cert))
    expect(ended).toBe(false)
    const stream = session.request({ ':path': PODS, authorization: `Bearer ${gateway.token}` })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(headers[':status']).toBe(200)
    watch.destroy()
    const end = Math.round(new X509Certificate(next.cert).validToDate.getTime() / 1_000)
    expect(await ops(gateway, '/metrics')).toContain(
      `postern_certificate_not_after_seconds{listener="kubernetes",host="127.0.0.1"} ${end}`,
    )
    expect(gateway.log.join('')).toContain('certificate.replaced')
    expect(gateway.log.join('')).not.toContain('certificate.refused')
  })

  it('is what the portal tells clients to trust', async () => {
    const gateway = await stage()
    const next = authority.issueServer({ hosts: ['127.0.0.1'] })
    await replace(gateway.directory, 'tls.key', next.key)
    await replace(gateway.directory, 'tls.crt', next.cert + authority.certificate)
    await expect.poll(async () => (await shown(gateway.portalPort)).serial).toBe(serialOf(next.cert))
    const socket = connect({ host: '127.0.0.1', port: gateway.portalPort, ca: authority.certificate })
    const answer = await answerOf(socket, 'GET /.well-known/postern HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(answer).toContain(Buffer.from(`${authority.certificate.trim()}\n`).toString('base64'))
  })

  it('has a private authority that the portal tells clients to trust, the next one too while it takes its place', async () => {
    const issued = authority.issueServer({ hosts: ['127.0.0.1'] })
    const gateway = await stage({
      async prepare(directory) {
        await writeFile(join(directory, 'private.crt'), issued.cert)
        await writeFile(join(directory, 'private.key'), issued.key)
        await writeFile(join(directory, 'private-ca.crt'), authority.certificate)
      },
      adjust: (document) => {
        const tls = { certificate: 'private.crt', key: 'private.key', certificateAuthority: 'private-ca.crt' }
        return {
          ...document,
          listen: { ...document.listen, kubernetes: { ...document.listen.kubernetes, tls } },
        }
      },
    })
    const told = async (): Promise<string> => {
      const socket = connect({ host: '127.0.0.1', port: gateway.portalPort, ca: gateway.certificateAuthority })
      const answer = await answerOf(socket, 'GET /.well-known/postern HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      const data = /"kubernetes":\{[^}]*"certificateAuthorityData":"([^"]*)"/.exec(answer)?.[1] ?? ''
      return Buffer.from(data, 'base64').toString()
    }
    expect((await told()).trim()).toBe(authority.certificate.trim())
    const next = createCertificateAuthority('the next one')
    await replace(gateway.directory, 'private-ca.crt', next.certificate)
    await expect.poll(() => ops(gateway, '/readyz?verbose')).toMatch(/kubernetes ok, but .* is not signed by/)
    expect((await told()).trim()).toBe(authority.certificate.trim())
    await replace(gateway.directory, 'private-ca.crt', `${authority.certificate}\n${next.certificate}`)
    await expect.poll(told).toContain(next.certificate.trim())
    expect(await told()).toContain(authority.certificate.trim())
  })

  it('that is bad keeps the old one, and says so until it is mended', async () => {
    const gateway = await stage()
    const before = await shown(gateway.port)
    const expired = createCertificateAuthority('late').issueServer({ expired: true })
    const other = authority.issueServer({ hosts: ['127.0.0.1'] })
    await replace(gateway.directory, 'tls.crt', other.cert)
    await expect
      .poll(() => ops(gateway, '/readyz?verbose'))
      .toMatch(/\[\+\]certificate\/kubernetes ok, but the key of the certificate .*tls\.crt belongs to another one/)
    await replace(gateway.directory, 'tls.key', expired.key)
    await replace(gateway.directory, 'tls.crt', expired.cert)
    await expect.poll(() => ops(gateway, '/readyz?verbose')).toMatch(/kubernetes ok, but .* expired on \d{4}/)
    await rm(join(gateway.directory, 'tls.crt'))
    await expect.poll(() => ops(gateway, '/readyz?verbose')).toMatch(/kubernetes ok, but cannot read .*no such file/)
    expect(await shown(gateway.port)).toEqual(before)
    const refusals = gateway.log.filter((line) => line.includes('certificate.refused') && line.includes('kubernetes'))
    expect(refusals).toHaveLength(3)
    await replace(gateway.directory, 'tls.key', other.key)
    await replace(gateway.directory, 'tls.crt', other.cert)
    await expect.poll(async () => (await shown(gateway.port)).serial).toBe(serialOf(other.cert))
    await expect.poll(() => ops(gateway, '/readyz?verbose')).toContain('[+]certificate/kubernetes ok\n')
    expect(gateway.log.join('')).not.toContain('PRIVATE KEY')
  })

  it('that is for other hosts keeps the old one', async () => {
    const issue = (...hosts: string[]) => authority.issueServer({ hosts: ['127.0.0.1', ...hosts] })
    const first = issue('prod.example.com')
    const gateway = await stage({
      hosts: ['prod.example.com'],
      prepare: async (directory) => {
        await writeFile(join(directory, 'own.crt'), first.cert)
        await writeFile(join(directory, 'own.key'), first.key)
      },
      adjust: (document) => withTls(document, { certificate: 'own.crt', key: 'own.key' }),
    })
    const next = issue('dev.example.com')
    await replace(gateway.directory, 'own.key', next.key)
    await replace(gateway.directory, 'own.crt', next.cert)
    await expect
      .poll(() => ops(gateway, '/readyz?verbose'))
      .toContain('kubernetes ok, but no certificate is for prod.example.com, only for 127.0.0.1, dev.example.com')
    // The portal does not serve the socket's host.
    await expect.poll(async () => (await shown(gateway.portalPort)).serial).toBe(serialOf(next.cert))
    expect((await shown(gateway.port, 'prod.example.com')).serial).toBe(serialOf(first.cert))
    const wildcard = issue('*.example.com')
    await replace(gateway.directory, 'own.key', wildcard.key)
    await replace(gateway.directory, 'own.crt', wildcard.cert)
    await expect.poll(async () => (await shown(gateway.port)).serial).toBe(serialOf(wildcard.cert))
  })

  it('is seen through the swapped link of a Kubernetes volume', async () => {
    const names = (directory: string) => ({
      certificate: join(directory, 'mounted/tls.crt'),
      key: join(directory, 'mounted/tls.key'),
    })
    const versions = [authority.issueServer({ hosts: ['127.0.0.1'] }), authority.issueServer({ hosts: ['127.0.0.1'] })]
    let mounted = ''
    const gateway = await stage({
      adjust: (document, directory) => {
        mounted = join(directory, 'mounted')
        return withTls(document, names(directory))
      },
      prepare: async (directory) => {
        await mkdir(join(directory, 'mounted'))
        for (const [index, { cert, key }] of versions.entries()) {
          await mkdir(join(directory, 'mounted', `..${index}`))
          await writeFile(join(directory, 'mounted', `..${index}`, 'tls.crt'), cert)
          await writeFile(join(directory, 'mounted', `..${index}`, 'tls.key'), key)
        }
        await symlink('..0', join(directory, 'mounted/..data'))
        for (const name of ['tls.crt', 'tls.key']) await symlink(`..data/${name}`, join(directory, 'mounted', name))
      },
    })
    expect((await shown(gateway.port)).serial).toBe(serialOf(versions[0]?.cert ?? ''))
    await symlink('..1', join(mounted, '..data_tmp'))
    await rename(join(mounted, '..data_tmp'), join(mounted, '..data'))
    await expect.poll(async () => (await shown(gateway.port)).serial).toBe(serialOf(versions[1]?.cert ?? ''))
    expect(gateway.log.join('')).not.toContain('certificate.refused')
  })
})

describe('several certificates of one listener', () => {
  it('are chosen by the name that the client asks for', async () => {
    const first = authority.issueServer({ hosts: ['127.0.0.1', 'kube.example.com'] })
    const wildcard = authority.issueServer({ hosts: ['*.apps.example.com'] })
    const exact = authority.issueServer({ hosts: ['b.apps.example.com'] })
    const gateway = await stage({
      prepare: async (directory) => {
        for (const [index, { cert, key }] of [first, wildcard, exact].entries()) {
          await writeFile(join(directory, `${index}.crt`), cert)
          await writeFile(join(directory, `${index}.key`), key)
        }
      },
      adjust: (document) =>
        withTls(document, ...[0, 1, 2].map((index) => ({ certificate: `${index}.crt`, key: `${index}.key` }))),
    })
    const serials = async (names: readonly (string | undefined)[]) =>
      Promise.all(names.map(async (name) => (await shown(gateway.port, name)).serial))
    const [a, b, c] = [first, wildcard, exact].map(({ cert }) => serialOf(cert))
    expect(
      await serials([
        undefined,
        'kube.example.com',
        'unknown.example',
        'a.apps.example.com',
        'B.apps.example.com',
        'x.y.apps.example.com',
        'apps.example.com',
      ]),
    ).toEqual([a, a, a, b, c, a, a])
    const next = authority.issueServer({ hosts: ['*.apps.example.com'] })
    await replace(gateway.directory, '1.key', next.key)
    await replace(gateway.directory, '1.crt', next.cert)
    await expect.poll(async () => (await shown(gateway.port, 'a.apps.example.com')).serial).toBe(serialOf(next.cert))
    expect(await serials([undefined, 'b.apps.example.com'])).toEqual([a, c])
  })
})

describe('a connector without certificates', () => {
  const trial = {
    adjust: (document: ConnectorInput) => ({ ...withTls(document), stateDirectory: 'state' }),
    hosts: ['prod.example.com'],
  }

  it('makes one of its own authority, which it keeps, and says how to trust it', async () => {
    const gateway = await stage(trial)
    const warning = JSON.parse(gateway.log.find((line) => line.includes('certificate.trial')) ?? '{}') as Record<
      string,
      unknown
    >
    const path = join(gateway.directory, 'state/trial-ca.crt')
    const pem = await readFile(path, 'utf8')
    expect(warning).toMatchObject({
      level: 40,
      listeners: ['kubernetes', 'portal'],
      certificateAuthority: path,
      fingerprint: new X509Certificate(pem).fingerprint256,
      command: `postern client login --portal https://127.0.0.1:${gateway.portalPort} --certificate-authority ${path}`,
    })
    expect((await stat(join(gateway.directory, 'state/trial-ca.pem'))).mode & 0o777).toBe(0o600)
    expect((await shown(gateway.port)).hosts).toBe(
      'IP Address:127.0.0.1, DNS:prod.example.com, DNS:localhost, IP Address:0:0:0:0:0:0:0:1',
    )
    const socket = connect({ host: '127.0.0.1', port: gateway.portalPort, ca: pem })
    const answer = await answerOf(socket, 'GET /.well-known/postern HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(answer).toContain(Buffer.from(pem).toString('base64'))
    const named = connect({ host: '127.0.0.1', port: gateway.port, servername: 'prod.example.com', ca: pem })
    await once(named, 'secureConnect')
    named.destroy()
    expect(gateway.log.join('')).not.toContain('PRIVATE KEY')
  })
})

function withTls(document: ConnectorInput, ...list: readonly { certificate: string; key: string }[]): ConnectorInput {
  const { kubernetes, portal, ops: inner } = document.listen
  const tls = list.length === 0 ? undefined : [...list]
  return { ...document, listen: { kubernetes: { ...kubernetes, tls }, portal: { ...portal, tls }, ops: inner } }
}

async function answerOf(socket: TLSSocket, request: string): Promise<string> {
  await once(socket, 'secureConnect')
  socket.write(request)
  return Buffer.concat((await socket.toArray()) as Buffer[]).toString()
}
