import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { createLaptop, type Laptop } from '../support/postern-command.ts'

const authority = createCertificateAuthority()
const leaf = authority.issueServer()

let laptop: Laptop
beforeEach(() => {
  laptop = createLaptop()
  mkdirSync(join(laptop.home, 'policies'))
  write('tls.crt', leaf.cert)
  write('tls.key', leaf.key)
  write('ca.crt', authority.certificate)
  write('token', 'the-token\n')
  write('policies/all.yaml', POLICY)
})
afterEach(() => {
  laptop.dispose()
})

function write(name: string, text: string): string {
  const path = join(laptop.home, name)
  writeFileSync(path, text)
  return path
}

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: readers }
spec:
  subjects: { groups: [readers] }
  rules:
  - { verbs: [get], resources: [pods] }
`
/** Port 9 is nobody's: neither the issuer nor the API server answers. */
const connector = (port = 0): string => `apiVersion: postern.dev/v1alpha1
kind: Connector
listen:
  kubernetes: { address: '127.0.0.1:${port}', tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://127.0.0.1:8443' }
  portal: { address: '127.0.0.1:0', tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://127.0.0.1:8444' }
  ops: { address: '127.0.0.1:0' }
identity:
  issuers:
  - issuer: { url: 'https://127.0.0.1:9', audiences: [postern], certificateAuthority: ca.crt }
    client: { id: postern }
    claimMappings: { username: { claim: email, prefix: '' } }
sockets:
- name: production
  upstream: { server: { url: 'https://127.0.0.1:9', certificateAuthority: ca.crt, credential: { token: { file: token } } } }
policies: ['policies/*.yaml']
audit: { trail: { directory: audit } }
`

interface Started {
  readonly portal: AddressInfo
}

function startConnector() {
  const command = laptop.start(['connector', 'start', '--config', write('connector.yaml', connector())])
  const started = command.line(/^.*"connector\.started".*$/m).then(([line]) => JSON.parse(line) as Started)
  return { ...command, started }
}

test('a connector starts although nobody else is there, and SIGTERM ends it with 0', async () => {
  const { started, process: child, result, line } = startConnector()
  const { portal } = await started
  const get = request({ host: '127.0.0.1', port: portal.port, path: '/.well-known/postern', ca: authority.certificate })
  const [response] = (await once(get.end(), 'response')) as [NodeJS.ReadableStream]
  expect(await json(response)).toMatchObject({
    kubernetes: { publicURL: 'https://127.0.0.1:8443' },
    issuers: [{ url: 'https://127.0.0.1:9', clientID: 'postern' }],
  })
  child.kill('SIGTERM')
  await line(/"connector\.stopping"/)
  const { exitCode, stdout, stderr } = await result
  expect([exitCode, stdout]).toEqual([0, ''])
  for (const logged of stderr.trim().split('\n'))
    expect(JSON.parse(logged)).toMatchObject({ msg: expect.any(String) as unknown })
})

test('a port that is taken is told by its address', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const { exitCode, stderr } = await laptop.run([
    'connector',
    'start',
    '--config',
    write('connector.yaml', connector(port)),
  ])
  other.close()
  expect(exitCode).toBe(1)
  expect(stderr.split('\n').filter((line) => line.startsWith('postern: '))).toEqual([
    `postern: cannot listen on 127.0.0.1:${port}: another program listens there; change listen in the document`,
  ])
})

describe('a document with mistakes', () => {
  const wrong = connector()
    .replace('kind: Connector', 'kind: Conector')
    .replace('certificate: tls.crt', 'certificate: missing.crt')
    .replace('audiences: [postern]', 'audiences: []')
    .replace('- name: production', '- name: Production!')
    .replace('policies: [', 'polices: [')
    .replace('{ trail: { directory: audit } }', '{ trail: { directory: tls.key } }')

  test('is not started, and every mistake is told with its line', async () => {
    const path = write('connector.yaml', wrong)
    const { exitCode, stdout, stderr } = await laptop.run(['connector', 'start', '--config', path])
    expect([exitCode, stdout]).toEqual([78, ''])
    expect(stderr.trim().split('\n').length).toBeGreaterThanOrEqual(6)
    for (const line of stderr.trim().split('\n')) expect(line).toMatch(/^postern: \/.*connector\.yaml:\d+: /)
  })

  test('is checked with the same mistakes, for people and for programs', async () => {
    const path = write('connector.yaml', wrong)
    write('policies/all.yaml', POLICY.replace('verbs: [get]', 'verbs: []'))
    const { exitCode, stdout, stderr } = await laptop.run(['connector', 'check', '--config', path])
    expect([exitCode, stderr]).toEqual([78, ''])
    const places = stdout
      .trim()
      .split('\n')
      .map((line) => /^\S+?:\d+: [\w.[\]]*/.exec(line)?.[0].replace(`${laptop.home}/`, ''))
    expect(places).toEqual(
      expect.arrayContaining([
        'connector.yaml:2: kind',
        'connector.yaml:4: listen.kubernetes.tls.certificate',
        'connector.yaml:9: identity.issuers[0].issuer.audiences',
        'connector.yaml:13: sockets[0].name',
        'connector.yaml:15: polices',
        'connector.yaml:16: audit.trail.directory',
      ]),
    )
    const { stdout: text } = await laptop.run(['connector', 'check', '--config', path, '-o', 'json'])
    const { mistakes } = JSON.parse(text) as { mistakes: { file: string; line: number; path: string }[] }
    expect(mistakes).toHaveLength(places.length)
    expect(mistakes).toContainEqual(expect.objectContaining({ file: path, line: 2, path: 'kind' }))
  })

  test('without any is told to be right', async () => {
    const path = write('connector.yaml', connector())
    expect(await laptop.run(['connector', 'check', '--config', path])).toEqual({
      exitCode: 0,
      stdout: `${path}: nothing is wrong\n`,
      stderr: '',
    })
  })

  test('but a certificate of a socket that has expired is told, and the connector starts', async () => {
    const { cert, key } = authority.issueClient({ commonName: 'late', expired: true })
    write('late.crt', cert)
    write('late.key', key)
    const credential = '{ clientCertificate: { certificate: late.crt, key: late.key } }'
    const path = write('connector.yaml', connector().replace('{ token: { file: token } }', credential))
    const { exitCode, stdout, stderr } = await laptop.run(['connector', 'check', '--config', path])
    expect([exitCode, stdout]).toEqual([0, `${path}: nothing keeps the connector from starting\n`])
    expect(stderr).toMatch(
      /^warning: \S+connector\.yaml:14: sockets\[0\]\.upstream\.server\.credential\.clientCertificate: the certificate expired on .*\n$/,
    )
    const forPrograms = await laptop.run(['connector', 'check', '--config', path, '-o', 'json'])
    expect(JSON.parse(forPrograms.stdout)).toMatchObject({ mistakes: [], warnings: [{ file: path, line: 14 }] })
    const running = laptop.start(['connector', 'start', '--config', path])
    await running.line(/"connector\.started"/)
    await running.line(/"socket\/production","ready":false,"reason":".*late\.crt expired on/)
    running.process.kill('SIGTERM')
    expect(await running.result).toMatchObject({ exitCode: 0 })
  })

  test('in a policy only is told too', async () => {
    const path = write('connector.yaml', connector())
    write('policies/all.yaml', POLICY.replace('verbs: [get]', 'verbs: []'))
    const { exitCode, stdout } = await laptop.run(['connector', 'check', '--config', path])
    expect(exitCode).toBe(78)
    expect(stdout).toMatch(/policies\/all\.yaml:7: spec\.rules\[0\]\.verbs: /)
  })
})
